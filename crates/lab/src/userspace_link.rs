//! A cable of our own for what this kernel's cannot do: two TAP interfaces, between which
//! frames wait in a timed queue or get an 802.1Q tag. It works on kernels without netem and VLANs.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

/// Frames that may be on their way in one direction; beyond, they are dropped, as by a full router.
/// At the 300 ms of the demo's link that is 54,000 frames a second.
const QUEUE_FRAMES: usize = 16_384;

/// Frames taken from one end before the other end gets its turn.
const BURST: usize = 64;

/// The longest frame: an MTU of 1500, the Ethernet header and a tag.
const FRAME_LEN: usize = 1500 + 14 + TAG_LEN;

/// The two MAC addresses, after which a tag stands (IEEE 802.1Q).
const ADDRESSES_LEN: usize = 12;
const TAG_LEN: usize = 4;
const TPID: [u8; 2] = [0x81, 0x00];

/// What the cable does to the frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// The time from one end to the other, in each direction.
    pub(crate) delay: Duration,
    /// The tag at the second end.
    pub(crate) vlan: Option<u16>,
}

/// What passed, in both directions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Frames that came out at the other end.
    pub forwarded: u64,
    /// Frames refused since the queue was full.
    pub queue_full: u64,
    /// Frames without the right tag at the tagged end.
    pub wrong_tag: u64,
    /// Frames that the interface at the other end did not take, being down.
    pub not_taken: u64,
}

/// The two TAP interfaces, in the namespace in which they were made until they are moved.
pub(crate) struct Taps {
    devices: [SyncDevice; 2],
}

impl Taps {
    /// Makes the interfaces in the namespace of the calling thread, down and without addresses.
    pub(crate) fn create(interfaces: [&str; 2]) -> io::Result<Self> {
        let [first, second] = interfaces.map(|name| {
            let device =
                DeviceBuilder::new().name(name).layer(Layer::L2).enable(false).build_sync()?;
            device.set_nonblocking(true)?;
            Ok::<_, io::Error>(device)
        });
        Ok(Self { devices: [first?, second?] })
    }

    /// Carries frames until the other end of `stop` is written to or closed.
    pub(crate) fn carry(
        &self,
        behaviour: Behaviour,
        stop: &UnixStream,
    ) -> io::Result<LinkCounters> {
        let tags = match behaviour.vlan {
            None => [Tagging::Keep, Tagging::Keep],
            Some(vlan) => [Tagging::Push(vlan), Tagging::Pop(vlan)],
        };
        let mut directions = tags.map(|tagging| Direction::new(behaviour.delay, tagging));
        let mut counters = LinkCounters::default();
        let [first, second] = &self.devices;
        let mut buffer = [0; FRAME_LEN];
        loop {
            let now = Instant::now();
            for (direction, out) in directions.iter_mut().zip([second, first]) {
                direction.deliver(now, out, &mut counters);
            }
            let next = directions.iter().filter_map(Direction::next_due).min();
            let wait = next.map(|due| due.saturating_duration_since(Instant::now()));
            let wait = wait.and_then(|wait| Timespec::try_from(wait).ok());
            let mut ready = [
                PollFd::new(first, PollFlags::IN),
                PollFd::new(second, PollFlags::IN),
                PollFd::new(stop, PollFlags::IN),
            ];
            match poll(&mut ready, wait.as_ref()) {
                Err(rustix::io::Errno::INTR) => continue,
                polled => polled?,
            };
            let [from_first, from_second, stopped] = ready.map(|fd| !fd.revents().is_empty());
            if stopped {
                return Ok(counters);
            }
            for ((direction, device), readable) in
                directions.iter_mut().zip([first, second]).zip([from_first, from_second])
            {
                if readable {
                    direction.accept(device, &mut buffer, &mut counters)?;
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Tagging {
    Keep,
    Push(u16),
    Pop(u16),
}

struct Direction {
    delay: Duration,
    tagging: Tagging,
    /// In the order of their times, since all wait equally long.
    queue: VecDeque<(Instant, Vec<u8>)>,
}

impl Direction {
    fn new(delay: Duration, tagging: Tagging) -> Self {
        Self { delay, tagging, queue: VecDeque::new() }
    }

    fn next_due(&self) -> Option<Instant> {
        self.queue.front().map(|(due, _)| *due)
    }

    fn accept(
        &mut self,
        device: &SyncDevice,
        buffer: &mut [u8; FRAME_LEN],
        counters: &mut LinkCounters,
    ) -> io::Result<()> {
        for _ in 0..BURST {
            let len = match device.recv(buffer) {
                Ok(len) => len,
                Err(error) => return unless_idle(error),
            };
            if self.queue.len() == QUEUE_FRAMES {
                counters.queue_full += 1;
                continue;
            }
            match self.tagging.apply(&buffer[..len]) {
                Some(frame) => self.queue.push_back((Instant::now() + self.delay, frame)),
                None => counters.wrong_tag += 1,
            }
        }
        Ok(())
    }

    fn deliver(&mut self, now: Instant, out: &SyncDevice, counters: &mut LinkCounters) {
        while self.next_due().is_some_and(|due| due <= now) {
            let Some((_, frame)) = self.queue.pop_front() else { return };
            match out.send(&frame) {
                Ok(_) => counters.forwarded += 1,
                Err(_) => counters.not_taken += 1,
            }
        }
    }
}

/// An interface without frames, or one that is down, has nothing to read; the rest is an error.
fn unless_idle(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

impl Tagging {
    /// The frame as the other end shows it; none, if it lacks the tag.
    fn apply(self, frame: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Keep => Some(frame.to_vec()),
            Self::Push(vlan) => {
                let (addresses, rest) = frame.split_at_checked(ADDRESSES_LEN)?;
                Some([addresses, &TPID, &vlan.to_be_bytes(), rest].concat())
            }
            Self::Pop(vlan) => {
                let (addresses, rest) = frame.split_at_checked(ADDRESSES_LEN)?;
                let (tag, rest) = rest.split_at_checked(TAG_LEN)?;
                // The upper four bits are priority and drop eligibility.
                let id = u16::from_be_bytes([tag[2], tag[3]]) & 0x0fff;
                (tag[..2] == TPID && id == vlan).then(|| [addresses, rest].concat())
            }
        }
    }
}

/// A cable that a thread of this process carries; it ends with the value.
#[derive(Debug)]
pub(crate) struct LinkThread {
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<io::Result<LinkCounters>>>,
}

impl LinkThread {
    pub(crate) fn start(taps: Taps, behaviour: Behaviour) -> io::Result<Self> {
        let (stop, stopped) = UnixStream::pair()?;
        let thread = std::thread::Builder::new()
            .name("link".to_owned())
            .spawn(move || taps.carry(behaviour, &stopped))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn stop(&mut self) -> io::Result<LinkCounters> {
        drop(self.stop.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(io::Error::other("the link's thread panicked")),
            None => Ok(LinkCounters::default()),
        }
    }
}

impl Drop for LinkThread {
    fn drop(&mut self) {
        // Its interfaces go with it; there is nobody left to tell.
        let _counters = self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_pushed_and_popped() {
        let frame: Vec<u8> = (0..60).collect();
        let tagged = Tagging::Push(100).apply(&frame).unwrap();
        assert_eq!(tagged[..12], frame[..12]);
        assert_eq!(tagged[12..16], [0x81, 0x00, 0x00, 100]);
        assert_eq!(tagged[16..], frame[12..]);
        assert_eq!(Tagging::Pop(100).apply(&tagged).unwrap(), frame);
        let mut with_priority = tagged.clone();
        with_priority[14] |= 0xe0;
        assert_eq!(Tagging::Pop(100).apply(&with_priority).unwrap(), frame);
    }

    #[test]
    fn a_wrong_or_missing_tag_is_refused() {
        let frame: Vec<u8> = (0..60).collect();
        let tagged = Tagging::Push(100).apply(&frame).unwrap();
        assert_eq!(Tagging::Pop(101).apply(&tagged), None);
        assert_eq!(Tagging::Pop(100).apply(&frame), None);
        for len in 0..16 {
            assert_eq!(Tagging::Pop(100).apply(&tagged[..len]), None);
        }
    }
}
