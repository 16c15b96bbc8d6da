//! A network of its own for one run: each node in a network namespace, the bridge in another, clients and receivers
//! in a third, and no route out of any of them. Faults of links are nft sets in the namespace of the node that
//! is to hear nothing, so that each direction can be cut by itself.
//!
//! Every name carries the run's tag, so that two runs never meet; the addresses are the same in each.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::detour::{self, Pair};
use crate::names::Names;
use crate::script::RECEIVERS;
use crate::shell::{run, run_with};

/// Where clients and receivers are.
pub const CLIENT_ADDRESS: &str = "10.88.0.1";
/// Where a receiver is that has moved.
pub const OTHER_ADDRESS: &str = "10.88.0.2";
const PREFIX: &str = "dtj";
/// What a machine that is there may take to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// The rules of a node: who is not heard, who is refused, who is heard badly, and whether the machine is off.
const RULES: &str = "
table inet jepsen {
    set cut { type ipv4_addr; }
    set refused { type ipv4_addr; }
    set lossy { type ipv4_addr; }
    set dark { type ipv4_addr; flags interval; }
    counter cut { }
    counter refused { }
    counter lossy { }
    counter dark { }
    chain input {
        type filter hook input priority 0; policy accept;
        ip saddr @dark counter name dark drop
        ip saddr @cut counter name cut drop
        ip saddr @refused meta l4proto tcp counter name refused reject with tcp reset
        ip saddr @lossy numgen random mod 100 < 30 counter name lossy drop
    }
    chain output {
        type filter hook output priority 0; policy accept;
        ip daddr @dark counter name dark drop
    }
}
";

/// The rules of the receivers' machine: ports that are closed for nodes, and those of addresses where nobody is now.
const CLIENT_RULES: &str = "
table inet jepsen {
    set closed { type inet_service; }
    set empty { type ipv4_addr . inet_service; }
    counter closed { }
    chain input {
        type filter hook input priority 0; policy accept;
        iifname eth0 ip daddr . tcp dport @empty reject with tcp reset
        iifname eth0 tcp dport @closed counter name closed reject with tcp reset
    }
}
";

/// What is done with packets from an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// They are dropped.
    Cut,
    /// TCP is answered with a reset.
    Refused,
    /// 30 of 100 are dropped.
    Lossy,
    /// Both directions are dropped: the machine is off.
    Dark,
}

/// The namespaces of one run. Dropping it removes them.
#[derive(Debug)]
pub struct Network {
    tag: String,
    nodes: u32,
    /// What the nodes' names of receivers lead to.
    names: Names,
}

/// The address of node `number`, from 1.
pub fn node_address(number: u32) -> String {
    format!("10.88.0.{}", 10 + number)
}

/// The node with an address.
pub fn node_of(address: &std::net::IpAddr) -> Option<u32> {
    let std::net::IpAddr::V4(address) = address else { return None };
    match address.octets() {
        [10, 88, 0, last @ 11..=99] => Some(u32::from(last) - 10),
        _ => None,
    }
}

impl Rule {
    const fn set(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Refused => "refused",
            Self::Lossy => "lossy",
            Self::Dark => "dark",
        }
    }
}

impl Network {
    /// Makes it for `nodes` nodes, named after the process `pid`.
    pub fn make(pid: u32, nodes: u32, names: Names) -> anyhow::Result<Self> {
        let network = Self { tag: format!("{PREFIX}{pid}"), nodes, names };
        run(&["ip", "netns", "add", &network.bridge()])?;
        let bridge = network.bridge();
        run(&["ip", "-n", &bridge, "link", "add", "br0", "type", "bridge"])?;
        run(&["ip", "-n", &bridge, "link", "set", "br0", "up"])?;
        network.attach(&network.client(), "c", CLIENT_ADDRESS)?;
        let other = format!("{OTHER_ADDRESS}/24");
        run(&["ip", "-n", &network.client(), "addr", "add", &other, "dev", "eth0"])?;
        network.client_nft(CLIENT_RULES)?;
        for receiver in 0..RECEIVERS {
            network.relocate(receiver, false)?;
        }
        for number in 1..=nodes {
            let namespace = network.node(number);
            network.attach(&namespace, &format!("n{number}"), &node_address(number))?;
            network.nft(number, RULES)?;
        }
        Ok(network)
    }

    fn attach(&self, namespace: &str, port: &str, address: &str) -> anyhow::Result<()> {
        let bridge = self.bridge();
        run(&["ip", "netns", "add", namespace])?;
        run(&["ip", "-n", namespace, "link", "set", "lo", "up"])?;
        // Made inside, so that the machine's own namespace never sees it.
        run(&["ip", "-n", namespace, "link", "add", "eth0", "type", "veth", "peer", port, "netns", &bridge])?;
        run(&["ip", "-n", &bridge, "link", "set", port, "master", "br0", "up"])?;
        run(&["ip", "-n", namespace, "addr", "add", &format!("{address}/24"), "dev", "eth0"])?;
        run(&["ip", "-n", namespace, "link", "set", "eth0", "up"])?;
        Ok(())
    }

    fn bridge(&self) -> String {
        format!("{}-b", self.tag)
    }

    fn client(&self) -> String {
        format!("{}-c", self.tag)
    }

    fn node(&self, number: u32) -> String {
        format!("{}-n{number}", self.tag)
    }

    /// The path by which `nsenter` finds a node's namespace.
    pub fn node_path(&self, number: u32) -> String {
        format!("/run/netns/{}", self.node(number))
    }

    /// What each node is to have as `/etc/hosts`.
    pub fn hosts(&self) -> &Path {
        self.names.path()
    }

    fn client_path(&self) -> String {
        format!("/run/netns/{}", self.client())
    }

    /// Closes a receiver's port for the nodes, or opens it.
    pub fn close_port(&self, receiver: usize, close: bool) -> anyhow::Result<()> {
        let port = usize::from(crate::script::PORT) + receiver;
        let verb = if close { "add" } else { "delete" };
        self.client_nft(&format!("{verb} element inet jepsen closed {{ {port} }}\n"))
    }

    /// Moves a receiver to its other address, or back: its name leads there, and at the one that it has left nobody is.
    pub fn relocate(&self, receiver: usize, away: bool) -> anyhow::Result<()> {
        let port = usize::from(crate::script::PORT) + receiver;
        let (to, from) = if away { (OTHER_ADDRESS, CLIENT_ADDRESS) } else { (CLIENT_ADDRESS, OTHER_ADDRESS) };
        // It is there before its name leads there, and a name that is known leads to where it is.
        self.client_nft(&format!(
            "add element inet jepsen empty {{ {to} . {port} }}\ndelete element inet jepsen empty {{ {to} . {port} }}\n"
        ))?;
        self.names.point(receiver, to)?;
        self.client_nft(&format!("add element inet jepsen empty {{ {from} . {port} }}\n"))
    }

    fn client_nft(&self, script: &str) -> anyhow::Result<()> {
        run_with(&["nsenter", &format!("--net={}", self.client_path()), "nft", "-f", "-"], script)?;
        Ok(())
    }

    /// How many packets closed ports have refused so far.
    pub fn refused_ports(&self) -> anyhow::Result<u64> {
        counter(&self.client_path(), "closed")
    }

    /// Moves this thread, and all that it starts from now on, to the clients' namespace.
    pub fn enter_client(&self) -> anyhow::Result<()> {
        enter(&self.client_path())
    }

    fn nft(&self, node: u32, script: &str) -> anyhow::Result<String> {
        let namespace = format!("--net={}", self.node_path(node));
        Ok(run_with(&["nsenter", &namespace, "nft", "-f", "-"], script)?)
    }

    /// Applies `rule` to what node `at` gets from `from`.
    pub fn apply(&self, at: u32, rule: Rule, from: u32) -> anyhow::Result<()> {
        let script = format!("add element inet jepsen {} {{ {} }}\n", rule.set(), source(rule, from));
        self.nft(at, &script).map(drop)
    }

    /// Takes it back.
    pub fn lift(&self, at: u32, rule: Rule, from: u32) -> anyhow::Result<()> {
        let script = format!("delete element inet jepsen {} {{ {} }}\n", rule.set(), source(rule, from));
        self.nft(at, &script).map(drop)
    }

    /// A device in each node's namespace through which packets can be led to this process; see [`crate::detour`].
    pub fn detour_devices(&self) -> anyhow::Result<BTreeMap<u32, File>> {
        (1..=self.nodes).map(|number| Ok((number, self.detour_device(number)?))).collect()
    }

    fn detour_device(&self, node: u32) -> anyhow::Result<File> {
        let path = self.node_path(node);
        // A namespace belongs to a thread: one that ends here.
        let made = std::thread::scope(|scope| {
            scope.spawn(|| enter(&path).and_then(|()| detour::make_device())).join()
        });
        let device = made.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        run(&["ip", "-n", &self.node(node), "link", "set", detour::DEVICE, "up"])?;
        // What comes through it has the address of a machine that is reached another way, which the kernel may mind.
        let script = "for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$file; done";
        run(&["nsenter", &format!("--net={path}"), "sh", "-c", script])?;
        Ok(device)
    }

    /// Whether `to` is reached from `from`: it answers that nobody listens there.
    pub fn refuses(&self, from: u32, to: u32) -> anyhow::Result<bool> {
        let (path, address) = (self.node_path(from), format!("{}:1", node_address(to)).parse()?);
        let asked = std::thread::scope(|scope| {
            scope
                .spawn(|| enter(&path).map(|()| TcpStream::connect_timeout(&address, ANSWER_TIME_MAX)))
                .join()
        });
        let answer = asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(answer.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused))
    }

    /// What `from` sends to `to` takes the way through this process, or the short one again.
    pub fn divert(&self, (from, to): Pair, divert: bool) -> anyhow::Result<()> {
        let (namespace, to, source) =
            (self.node(from), format!("{}/32", node_address(to)), node_address(from));
        let verb = if divert { "replace" } else { "del" };
        run(&["ip", "-n", &namespace, "route", verb, &to, "dev", detour::DEVICE, "src", &source])?;
        Ok(())
    }

    /// How many packets a rule has met at a node so far.
    pub fn met(&self, at: u32, rule: Rule) -> anyhow::Result<u64> {
        counter(&self.node_path(at), rule.set())
    }
}

/// The packets of a named counter.
fn counter(namespace: &str, name: &str) -> anyhow::Result<u64> {
    let namespace = format!("--net={namespace}");
    let said = run(&["nsenter", &namespace, "nft", "list", "counter", "inet", "jepsen", name])?;
    let mut words = said.split_whitespace().skip_while(|word| *word != "packets").skip(1);
    words.next().and_then(|word| word.parse().ok()).context("nft shows no packet count")
}

/// A machine that is off hears nobody at all.
fn source(rule: Rule, from: u32) -> String {
    if rule == Rule::Dark { "10.88.0.0/24".into() } else { node_address(from) }
}

impl Drop for Network {
    fn drop(&mut self) {
        let nodes = (1..=self.nodes).map(|number| self.node(number));
        for namespace in nodes.chain([self.client(), self.bridge()]) {
            remove(&namespace);
        }
    }
}

/// Removes a namespace, if it is there. Not a panic, for this runs during panics too.
fn remove(namespace: &str) {
    if Path::new("/run/netns").join(namespace).exists()
        && let Err(e) = run(&["ip", "netns", "del", namespace])
    {
        eprintln!("the namespace {namespace} stays: {e}");
    }
}

fn enter(path: &str) -> anyhow::Result<()> {
    let namespace = File::open(path).with_context(|| format!("can't open {path}"))?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .with_context(|| format!("can't enter {path}"))
}

/// Removes the namespaces of runs whose process is gone: one that was killed could not clean up.
pub fn sweep() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let stale: Vec<String> = names.filter(|name| owner(name).is_some_and(|pid| !is_alive(pid))).collect();
    stale.iter().for_each(|name| remove(name));
    stale
}

/// The process that a name is tagged with.
pub fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

/// Whether a process is there.
pub fn is_alive(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_known_by_its_address() {
        for number in [1, 5, 9] {
            assert_eq!(node_of(&node_address(number).parse().unwrap()), Some(number));
        }
        assert_eq!(node_of(&CLIENT_ADDRESS.parse().unwrap()), None);
        assert_eq!(node_of(&"10.89.0.11".parse().unwrap()), None);
    }

    #[test]
    fn only_names_of_this_harness_have_an_owner() {
        assert_eq!(owner("dtj4711-n2"), Some(4711));
        assert_eq!(owner("docker0"), None);
        assert_eq!(owner("dtjx-n2"), None);
    }
}
