//! What a test needs from the machine, and how it says that it cannot run.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Something that a machine may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The super-user, for namespaces and raw sockets.
    Root,
    /// A program on the search path.
    Tool(&'static str),
    /// The kernel's own SRv6: `seg6` and `seg6local` routes.
    LinuxSeg6,
    /// AF_XDP sockets in the kernel.
    AfXdp,
    /// The built router.
    Sidewinder,
    /// A kernel for a virtual machine, and QEMU.
    Vm,
    /// FRR, in a root of its own.
    Frr,
    /// ExaBGP, in an environment of its own or installed.
    ExaBgp,
    /// Topologies of real networks.
    Topologies,
}

impl Need {
    /// Why this need is not met, if it is not.
    fn missing(self) -> Option<String> {
        match self {
            Self::Root if !nix::unistd::geteuid().is_root() => Some("needs root".into()),
            Self::Tool(name) if on_path(name).is_none() => Some(format!("needs `{name}`")),
            Self::LinuxSeg6 if !Path::new("/proc/sys/net/ipv6/conf/all/seg6_enabled").exists() => {
                Some("needs a kernel with IPV6_SEG6_LWTUNNEL".into())
            }
            Self::AfXdp if !has_af_xdp() => Some("needs a kernel with XDP_SOCKETS".into()),
            Self::Sidewinder => sidewinder_binary().err(),
            Self::Vm => crate::vm::image::missing(),
            Self::Frr => crate::frr::missing(),
            Self::ExaBgp => crate::exabgp::missing(),
            Self::Topologies => crate::topologies::missing(),
            _ => None,
        }
    }
}

/// What a script has said of its failure, in a line.
pub(crate) fn in_a_line(reason: &str) -> String {
    let words: Vec<&str> = reason.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").into()
}

/// The first of `needs` that is not met, in words.
pub fn first_missing(needs: &[Need]) -> Option<String> {
    needs.iter().find_map(|need| need.missing())
}

/// Prints that `test` is skipped, and notes it in the file that `SIDEWINDER_SKIP_LOG` names so that
/// `make test` can count the skipped ones.
pub fn announce(test: &str, reason: &str) {
    let line = format!("SKIPPED: {test}: {reason}\n");
    // Straight to the terminal: the test harness swallows what a passing test prints.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(log) = env::var_os("SIDEWINDER_SKIP_LOG") {
        let file = OpenOptions::new().create(true).append(true).open(log);
        if let Err(error) = file.and_then(|mut file| file.write_all(line.as_bytes())) {
            eprintln!("cannot note the skipped test: {error}");
        }
    }
}

/// The router's binary: `SIDEWINDER_BIN`, or the newer of `target/debug` and `target/release`
/// beside the running test. One that is there and does not work is for the tests to find.
pub fn sidewinder_binary() -> Result<PathBuf, String> {
    match env::var_os("SIDEWINDER_BIN") {
        Some(path) => Ok(PathBuf::from(path)),
        None => newest_build()
            .ok_or_else(|| "needs the router: run `cargo build -p sidewinder` first".into()),
    }
}

fn newest_build() -> Option<PathBuf> {
    let test = env::current_exe().ok()?;
    // target/<profile>/deps/<test>
    let target = test.parent()?.parent()?.parent()?;
    ["debug", "release"]
        .into_iter()
        .map(|profile| target.join(profile).join("sidewinder"))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .max()
        .map(|(_, path)| path)
}

/// Where a program is.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    // An ordinary user's search path lacks the administrator's directories.
    let dirs = env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    dirs.map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn has_af_xdp() -> bool {
    // Listed once a protocol family is registered; the size column is of no interest here.
    std::fs::read_to_string("/proc/net/protocols").is_ok_and(|list| list.contains("XDP"))
}

/// The path of the enclosing function, without the crate's name.
#[macro_export]
macro_rules! test_name {
    () => {{
        fn here() {}
        let path = std::any::type_name_of_val(&here);
        path.strip_suffix("::here").unwrap_or(path)
    }};
}

/// Leaves the test, with a printed reason, unless the machine has everything that is named.
#[macro_export]
macro_rules! needs {
    ($($need:expr),+ $(,)?) => {
        if let Some(reason) = $crate::skip::first_missing(&[$($need),+]) {
            $crate::skip!("{reason}");
        }
    };
}

/// Leaves the test with a printed reason.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)+) => {{
        $crate::skip::announce($crate::test_name!(), &format!($($reason)+));
        return Ok(());
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_tools() {
        assert!(on_path("sh").is_some());
        let reason = first_missing(&[Need::Tool("sh"), Need::Tool("no-such-tool")]);
        assert_eq!(reason.as_deref(), Some("needs `no-such-tool`"));
    }

    #[test]
    fn knows_its_name() {
        assert_eq!(test_name!(), "sidewinder_tests::skip::tests::knows_its_name");
    }
}
