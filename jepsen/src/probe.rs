//! Whether this machine can do what the faults need: each facility is tried, not assumed, and what is missing is
//! named in one line. Deliberately not here: installing, which `run.sh` does.

use anyhow::Context as _;
use rustix::process::geteuid;

use crate::detour::{Detour, Way};
use crate::disk::{Disk, DiskRoom};
use crate::kind::Kind;
use crate::names::Names;
use crate::network::{Network, Rule};
use crate::process::WITH_HOSTS;
use crate::shell::run;

const PROBE_BYTES: u64 = 16 << 20;
/// Tries everything that `kinds` need.
///
/// # Errors
/// One line: what does not work, and why.
pub fn probe(kinds: &[Kind]) -> anyhow::Result<()> {
    anyhow::ensure!(geteuid().is_root(), "not root: network namespaces and loop devices need it");
    for (tool, package) in [
        ("ip", "iproute2"),
        ("nft", "nftables"),
        ("mkfs.ext4", "e2fsprogs"),
        ("mount", "mount"),
        ("nsenter", "util-linux"),
        ("setpriv", "util-linux"),
        ("unshare", "util-linux"),
        ("fsfreeze", "util-linux"),
    ] {
        let found = run(&["sh", "-c", &format!("command -v {tool}")]);
        anyhow::ensure!(found.is_ok(), "{tool} is missing: apt-get install {package}");
    }
    network().context("network namespaces, veth, a bridge and nft do not work")?;
    disk().context("loop devices and ext4's shutdown do not work")?;
    if kinds.contains(&Kind::CpuStarve) {
        let root = std::path::Path::new("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
        anyhow::ensure!(root.exists() || root.with_file_name("tasks").exists(), "no cpu control group (v1)");
    }
    if kinds.iter().any(|kind| kind.is_of_detours()) {
        detour().context("TUN devices do not work")?;
    }
    if kinds.iter().any(|kind| kind.is_of_lies()) {
        anyhow::ensure!(
            run(&["sh", "-c", "command -v cc"]).is_ok(),
            "cc is missing: apt-get install gcc libc6-dev"
        );
    }
    Ok(())
}

/// Two namespaces that are connected, and a rule that counts.
fn network() -> anyhow::Result<()> {
    let network = stand(1)?;
    network.apply(1, Rule::Lossy, 1)?;
    network.lift(1, Rule::Lossy, 1)?;
    network.met(1, Rule::Cut)?;
    let hosts = network.hosts().to_string_lossy().into_owned();
    let name = crate::names::receiver_name(0);
    run(&[&WITH_HOSTS[..], &[&hosts, "grep", "-q", &name, "/etc/hosts"]].concat())
        .context("a file can't be put in place of /etc/hosts")?;
    std::fs::remove_file(hosts)?;
    Ok(())
}

/// A network of its own for a moment.
fn stand(nodes: u32) -> anyhow::Result<Network> {
    let pid = std::process::id();
    Network::make(pid, nodes, Names::make(std::env::temp_dir().join(format!("dtj{pid}-hosts")))?)
}

/// A packet that one node sends to another comes to the other by the long way.
fn detour() -> anyhow::Result<()> {
    let network = stand(2)?;
    let detour = Detour::start(network.detour_devices()?, 0)?;
    for pair in [(1, 2), (2, 1)] {
        detour.set(pair, Some(Way::Late(1)));
        network.divert(pair, true)?;
    }
    anyhow::ensure!(network.refuses(1, 2)?, "nothing came through a TUN device and back");
    anyhow::ensure!(detour.touched() == 2, "packets did not take the long way");
    std::fs::remove_file(network.hosts())?;
    Ok(())
}

/// One power cut of a small disk.
fn disk() -> anyhow::Result<()> {
    let room = DiskRoom::make(std::process::id())?;
    let disk = Disk::make(room.path(), "probe", Some(PROBE_BYTES))?;
    disk.put_canary()?;
    disk.cut_power()?;
    disk.unmount()?;
    disk.mount()?;
    anyhow::ensure!(disk.canary_is_gone(), "a power cut takes nothing away");
    drop(disk);
    Ok(())
}

/// Removes what runs have left behind that could not clean up.
pub fn sweep() {
    for name in crate::disk::sweep().into_iter().chain(crate::network::sweep()) {
        println!("removed {name}, left by a run that was killed");
    }
    crate::stage::sweep_cgroups();
}
