//! Frames of some outcomes out of running workers, see `otherhalf_capture`, for whoever asks on the control socket.

mod serve;

pub use otherhalf_capture::{
    Capture, Captured, Error, ROOM, Received, SNAP_LEN, Sampler, Session, Wanted,
};
pub use serve::serve;
