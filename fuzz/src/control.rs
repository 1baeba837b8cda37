//! The control socket's two readers: the daemon's of questions, and the client's of answers.

use std::fmt::Debug;

use otherhalf_control::Reply;
use otherhalf_control::message::{self, Error, LONGEST_ANSWER, LONGEST_QUESTION, Question};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads `octets` as all that one side of a connection ever says, once as either side.
///
/// # Panics
///
/// If what was read and written again is not one line, or not the same.
pub fn run(octets: &[u8]) {
    talk::<Question>(octets, LONGEST_QUESTION);
    talk::<Reply>(octets, LONGEST_ANSWER);
}

/// Goes on after a line that is no message, as the daemon does.
fn talk<T: DeserializeOwned + Serialize + PartialEq + Debug>(mut octets: &[u8], longest: u64) {
    loop {
        let before = octets.len();
        match message::read::<T>(&mut octets, longest) {
            Ok(Some(message)) => same_again(&message),
            Err(Error::Form(_)) => {}
            Ok(None) | Err(_) => return,
        }
        assert!(octets.len() < before, "nothing was read");
    }
}

fn same_again<T: DeserializeOwned + Serialize + PartialEq + Debug>(message: &T) {
    let mut line = Vec::new();
    message::write(&mut line, message).unwrap();
    assert_eq!(line.iter().position(|octet| *octet == b'\n'), Some(line.len() - 1));
    let again: Option<T> = message::read(&mut line.as_slice(), LONGEST_ANSWER).unwrap();
    assert_eq!(again.as_ref(), Some(message));
}
