//! Commands of our own at DPDK's telemetry socket, where `dpdk-telemetry.py` and others ask.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use dpdk_sys as sys;

use crate::eal::Eal;
use crate::error::{Errno, TelemetryError};

/// Answers a command: gets the parameters behind its comma, empty if there are none, and fills in the answer. Called on threads of DPDK's.
pub type Telemetry = Box<dyn Fn(&str, &mut Answer) + Send + Sync>;

/// The commands by their names. DPDK's callback has no argument of its own, so they lie in a static. Locked while a command is added
/// or answered.
static COMMANDS: Mutex<BTreeMap<String, Telemetry>> = Mutex::new(BTreeMap::new());

/// The longest name of a command that DPDK takes (`MAX_CMD_LEN` of its telemetry.c, less the NUL).
const LONGEST: usize = 55;

/// An answer under way: names with numbers and texts, as one JSON object.
#[derive(Debug)]
pub struct Answer {
    data: *mut sys::rte_tel_data,
    /// Whether all fitted in: DPDK takes 256 entries.
    whole: bool,
}

impl Answer {
    /// Adds a number. The name takes letters, digits, `_` and `/`.
    pub fn number(&mut self, name: &str, value: u64) {
        let Ok(name) = CString::new(name) else { return self.whole = false };
        // SAFETY: `data` is the answer that DPDK lends for the time of this call; it copies the name.
        let status = unsafe { sys::dsys_tel_add_number(self.data, name.as_ptr(), value) };
        self.whole &= status == 0;
    }

    /// Adds a text. DPDK takes 127 octets; what is longer is cut.
    pub fn text(&mut self, name: &str, text: &str) {
        let (Ok(name), Ok(text)) = (CString::new(name), CString::new(text)) else {
            return self.whole = false;
        };
        // SAFETY: as above; it copies both.
        let status =
            unsafe { sys::rte_tel_data_add_dict_string(self.data, name.as_ptr(), text.as_ptr()) };
        self.whole &= status == 0 || status.abs() == libc::E2BIG;
    }
}

impl Eal {
    /// Adds the command `name`, such as `/otherhalf/stats`, answered by `answer` for as long as the process lives. Without
    /// [`EalBuilder::telemetry`](crate::EalBuilder::telemetry) there is no socket, and nobody to ask.
    ///
    /// # Errors
    /// If DPDK does not take the name, or has it already.
    pub fn add_telemetry(
        &self,
        name: &str,
        help: &CStr,
        answer: Telemetry,
    ) -> Result<(), TelemetryError> {
        let bad = || TelemetryError::BadName(name.to_owned());
        let usable = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '/';
        if name.len() > LONGEST || !name.starts_with('/') || !name.chars().all(usable) {
            return Err(bad());
        }
        let command = CString::new(name).map_err(|_| bad())?;
        let mut commands = COMMANDS.lock().unwrap_or_else(PoisonError::into_inner);
        if commands.contains_key(name) {
            return Err(TelemetryError::Taken(name.to_owned()));
        }
        // SAFETY: DPDK copies the name and the help; the callback lives for ever and can be called by any thread.
        let status = unsafe {
            sys::rte_telemetry_register_cmd(command.as_ptr(), Some(answer_command), help.as_ptr())
        };
        if status != 0 {
            return Err(TelemetryError::Refused {
                name: name.to_owned(),
                errno: Errno(status.abs()),
            });
        }
        commands.insert(name.to_owned(), answer);
        Ok(())
    }
}

/// What DPDK calls for a command of ours. Negative: there is no answer.
extern "C" fn answer_command(
    command: *const c_char,
    parameters: *const c_char,
    data: *mut sys::rte_tel_data,
) -> i32 {
    // SAFETY: DPDK gives the command as a C string that lives as long as this call.
    let command = unsafe { CStr::from_ptr(command) };
    let parameters = if parameters.is_null() {
        c""
    } else {
        // SAFETY: as above; null is none.
        unsafe { CStr::from_ptr(parameters) }
    };
    let (Ok(command), Ok(parameters)) = (command.to_str(), parameters.to_str()) else { return -1 };
    // SAFETY: `data` is an answer that nothing was put in yet.
    if unsafe { sys::rte_tel_data_start_dict(data) } != 0 {
        return -1;
    }
    let mut answer = Answer { data, whole: true };
    let commands = COMMANDS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(fill) = commands.get(command) else { return -1 };
    // A panic must not leave Rust.
    let filled = catch_unwind(AssertUnwindSafe(|| fill(parameters, &mut answer)));
    if filled.is_ok() && answer.whole { 0 } else { -1 }
}
