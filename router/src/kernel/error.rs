//! What can go wrong between us and the kernel, in sentences.

use std::io;

/// A failure of the netlink conversation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A netlink socket could not be opened, configured or subscribed.
    #[error("cannot open a netlink socket to the kernel: {0}")]
    Open(#[source] io::Error),

    /// Sending to or receiving from the kernel failed for a reason other than a full buffer.
    #[error("the netlink conversation with the kernel failed: {0}")]
    Conversation(#[source] io::Error),

    /// The kernel said no to a request.
    #[error("cannot {what}: {source}{}", details(.source, .said))]
    Refused {
        /// The request, as the end of "cannot …".
        what: String,
        /// The kernel's error number.
        source: io::Error,
        /// The kernel's own words (extended acknowledgement), empty where it gave none.
        said: String,
    },

    /// An answer that is not netlink as we know it.
    #[error("cannot {what}: the kernel's answer makes no sense ({why})")]
    Answer {
        /// The request, as the end of "cannot …".
        what: String,
        /// What is wrong with the answer.
        why: String,
    },
}

impl Error {
    /// The error number with which the kernel refused, if it did.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Refused { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

/// Result of the kernel module.
pub type Result<T> = std::result::Result<T, Error>;

/// What to do about it, and what the kernel said beyond the number.
fn details(source: &io::Error, said: &str) -> String {
    let mut details = String::new();
    if !said.is_empty() {
        details.push_str(&format!(", the kernel says \"{said}\""));
    }
    if source.raw_os_error() == Some(libc::EPERM) {
        details.push_str(
            "; this needs the capability CAP_NET_ADMIN: run as root, or grant it to the service",
        );
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_why_and_what_to_do() {
        let refused = |errno, said: &str| Error::Refused {
            what: "resolve fe80::2 on link 3".into(),
            source: io::Error::from_raw_os_error(errno),
            said: said.into(),
        };
        assert_eq!(
            refused(libc::EPERM, "").to_string(),
            "cannot resolve fe80::2 on link 3: Operation not permitted (os error 1); this needs \
             the capability CAP_NET_ADMIN: run as root, or grant it to the service"
        );
        assert_eq!(
            refused(libc::EINVAL, "Invalid dst").to_string(),
            "cannot resolve fe80::2 on link 3: Invalid argument (os error 22), the kernel says \
             \"Invalid dst\""
        );
    }
}
