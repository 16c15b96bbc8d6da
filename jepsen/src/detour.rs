//! A way between nodes that leads through this process: packets that are sent there come late, in another order, or
//! twice. This kernel has no netem. Each node has a TUN device of its own; whoever wants packets to take it sets a route
//! ([`crate::network::Network::divert`]), and what comes out of one node's device is put into that of another.
//!
//! Deliberately not here: dropping packets, which nft does.
// Making a device is an ioctl, and no safe function has it.
#![allow(unsafe_code)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::ioctl::{Setter, ioctl, opcode};

use crate::network::node_of;
use crate::random::Random;

/// The name of the device in each namespace.
pub const DEVICE: &str = "late0";
/// `TUNSETIFF` of linux/if_tun.h, and its flags: packets of IP, with nothing before them.
const TUNSETIFF: rustix::ioctl::Opcode = opcode::write::<std::ffi::c_int>(b'T', 202);
const IFF_TUN_NO_PI: u16 = 0x1001;
/// `struct ifreq`: the name in 16 bytes, then the flags.
const IFREQ_BYTES: usize = 40;
const NAME_BYTES: usize = 16;
/// More than a packet of the devices has, whose MTU is 1500.
const PACKET_BYTES_MAX: usize = 2048;
/// Packets that are held at most; what comes then is lost, as in a router that is full.
const HELD_MAX: usize = 100_000;
/// How often it is looked whether the run is over.
const LOOK: Duration = Duration::from_millis(20);

/// What happens to packets on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Each comes so many ms late.
    Late(u64),
    /// Each comes up to so many ms late, by itself, so that they overtake each other.
    Shuffled(u64),
    /// So many of 100 come a second time, up to 20 ms later.
    Doubled(u64),
}

/// From whom, to whom.
pub type Pair = (u32, u32);

/// The devices and the thread that moves packets between them. It ends when this is dropped.
#[derive(Debug)]
pub struct Detour {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    ways: Mutex<BTreeMap<Pair, Way>>,
    over: AtomicBool,
    /// Packets that came late, overtook another, or were doubled.
    touched: AtomicU64,
}

/// A packet that is to go on, the earliest first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Held {
    due: Instant,
    /// In which order they came.
    number: u64,
    pair: Pair,
    packet: Vec<u8>,
}

/// Makes the device in the network namespace of this thread. It is not up yet.
pub fn make_device() -> anyhow::Result<File> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open("/dev/net/tun")
        .context("can't open /dev/net/tun")?;
    let mut request = [0; IFREQ_BYTES];
    request[..DEVICE.len()].copy_from_slice(DEVICE.as_bytes());
    request[NAME_BYTES..NAME_BYTES + 2].copy_from_slice(&IFF_TUN_NO_PI.to_ne_bytes());
    // SAFETY: the kernel reads a `struct ifreq`, which is not larger, behind the pointer; `Setter` keeps it alive.
    unsafe { ioctl(&device, Setter::<TUNSETIFF, [u8; IFREQ_BYTES]>::new(request)) }
        .context("the kernel makes no TUN device")?;
    Ok(device)
}

impl Detour {
    /// Between the nodes whose devices these are, by number.
    pub fn start(devices: BTreeMap<u32, File>, seed: u64) -> anyhow::Result<Self> {
        let shared = Arc::<Shared>::default();
        let mut switch = Switch {
            devices,
            shared: shared.clone(),
            held: BinaryHeap::new(),
            random: Random::named(seed, "detour"),
            number: 0,
            newest: BTreeMap::new(),
        };
        let thread = std::thread::Builder::new().name("detour".into()).spawn(move || switch.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What happens to packets of `pair` from now on; `None`: they go on at once.
    pub fn set(&self, pair: Pair, way: Option<Way>) {
        let mut ways = self.shared.ways.lock();
        match way {
            Some(way) => drop(ways.insert(pair, way)),
            None => drop(ways.remove(&pair)),
        }
    }

    /// Packets so far to which something happened.
    pub fn touched(&self) -> u64 {
        self.shared.touched.load(Ordering::Relaxed)
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Switch {
    devices: BTreeMap<u32, File>,
    shared: Arc<Shared>,
    held: BinaryHeap<Reverse<Held>>,
    random: Random,
    number: u64,
    /// The newest packet that has gone on, by pair.
    newest: BTreeMap<Pair, u64>,
}

impl Switch {
    fn run(&mut self) {
        while !self.shared.over.load(Ordering::Relaxed) {
            self.send_due();
            let next =
                self.held.peek().map(|Reverse(held)| held.due.saturating_duration_since(Instant::now()));
            if self.wait(next.unwrap_or(LOOK).min(LOOK)).is_err() {
                return;
            }
            for from in self.devices.keys().copied().collect::<Vec<_>>() {
                while let Some(packet) = self.read(from) {
                    self.take(from, packet);
                }
            }
        }
    }

    /// Waits until a device has a packet, or for `time`.
    fn wait(&self, time: Duration) -> rustix::io::Result<()> {
        let mut fds: Vec<PollFd<'_>> =
            self.devices.values().map(|device| PollFd::new(device, PollFlags::IN)).collect();
        let time = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
        match poll(&mut fds, Some(&time)) {
            Err(rustix::io::Errno::INTR) => Ok(()),
            polled => polled.map(drop),
        }
    }

    fn read(&self, from: u32) -> Option<Vec<u8>> {
        let mut device = self.devices.get(&from)?;
        let mut packet = vec![0; PACKET_BYTES_MAX];
        // Nothing there, or the namespace is gone: nothing comes in both cases.
        let length = device.read(&mut packet).ok()?;
        packet.truncate(length);
        Some(packet)
    }

    fn take(&mut self, from: u32, packet: Vec<u8>) {
        let Some(to) = destination(&packet) else { return };
        let pair = (from, to);
        let way = self.shared.ways.lock().get(&pair).copied();
        let (delay_ms, again_ms) = match way {
            None => (0, None),
            Some(Way::Late(ms)) => (ms, None),
            Some(Way::Shuffled(ms_max)) => (self.random.below(ms_max + 1), None),
            Some(Way::Doubled(percent)) => (0, self.random.chance(percent).then(|| self.random.below(21))),
        };
        if matches!(way, Some(Way::Late(_))) || again_ms.is_some() {
            self.shared.touched.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(ms) = again_ms {
            self.hold(pair, ms, packet.clone());
        }
        self.hold(pair, delay_ms, packet);
    }

    fn hold(&mut self, pair: Pair, delay_ms: u64, packet: Vec<u8>) {
        if self.held.len() < HELD_MAX {
            self.number += 1;
            let due = Instant::now() + Duration::from_millis(delay_ms);
            self.held.push(Reverse(Held { due, number: self.number, pair, packet }));
        }
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        while self.held.peek().is_some_and(|Reverse(held)| held.due <= now) {
            let Some(Reverse(held)) = self.held.pop() else { return };
            let newest = self.newest.entry(held.pair).or_default();
            if held.number < *newest {
                self.shared.touched.fetch_add(1, Ordering::Relaxed);
            }
            *newest = held.number.max(*newest);
            let Some(mut device) = self.devices.get(&held.pair.1) else { continue };
            // The node's queue can be full, or its namespace gone: the packet is lost.
            let _ = device.write(&held.packet);
        }
    }
}

/// The node that a packet is for: the destination of its IPv4 header.
fn destination(packet: &[u8]) -> Option<u32> {
    let is_v4 = packet.first().is_some_and(|first| first >> 4 == 4);
    let address: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
    node_of(&IpAddr::V4(Ipv4Addr::from(address))).filter(|_| is_v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_for_the_node_of_its_address() {
        let mut packet = [0; 20];
        packet[0] = 0x45;
        packet[16..20].copy_from_slice(&[10, 88, 0, 13]);
        assert_eq!(destination(&packet), Some(3));
        packet[19] = 1;
        assert_eq!(destination(&packet), None, "the clients' machine has no device");
        assert_eq!(destination(&packet[..19]), None);
        packet[0] = 0x60;
        assert_eq!(destination(&packet), None, "no IPv6");
    }
}
