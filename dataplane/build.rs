//! Compiles the programs for the kernel (src/port/xdp/*.bpf.c) to BPF.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const FOLDER: &str = "src/port/xdp";

/// What decides on received packets, and what `sidewinder bench veth` measures with.
const PROGRAMS: [&str; 3] = ["steer", "generator", "sink"];

fn main() {
    println!("cargo::rerun-if-changed={FOLDER}/bpf.h");
    println!("cargo::rerun-if-env-changed=CLANG");
    for program in PROGRAMS {
        compile(program);
    }
}

fn compile(program: &str) {
    let source = format!("{FOLDER}/{program}.bpf.c");
    println!("cargo::rerun-if-changed={source}");
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    let architecture = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it");

    let mut command = Command::new(&clang);
    command.args(["-target", "bpf", "-O2", "-g", "-Wall", "-Werror", "-c", &source, "-o"]);
    command.arg(out.join(format!("{program}.bpf.o")));
    // Debian keeps <asm/types.h> in a directory per architecture, which clang does not search for
    // the target bpf.
    let asm = format!("/usr/include/{architecture}-linux-gnu");
    if Path::new(&asm).exists() {
        command.arg("-idirafter").arg(asm);
    }
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(_) => fail(&format!(
            "{clang} could not compile {source}, see its messages above. If it does not find \
             linux/*.h, install the kernel's headers: apt-get install linux-libc-dev"
        )),
        Err(error) => fail(&format!(
            "{clang}, which compiles the XDP programs, could not be run ({error}). Install it: \
             apt-get install clang (`make setup` installs all that is needed to build), or name \
             another in the environment variable CLANG"
        )),
    }
}

fn fail(message: &str) -> ! {
    println!("cargo::error={message}");
    exit(1);
}
