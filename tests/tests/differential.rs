//! The same packets into Linux and into Sidewinder; what comes out is compared byte for byte.
//!
//! ```text
//!             in0 +--------+ out0   fe80::b: 2001:db8:b::/48, fc00:0:2::/48
//!  fe80::a -------| router |------
//!  2001:db8:a::/48|        |------  fe80::c: fc00:0:3::/48, End.X, End.DX6, End.DX4,
//!                 +--------+ out1            and all of table 100
//! ```
//!
//! Two of these stand side by side with the same addresses, one with Linux as the router and one
//! with Sidewinder. A generator makes packets, good ones and ones with something wrong; each is sent
//! into both, and everything that leaves on any link, ICMP errors included, is compared. For each
//! packet the result is: the same bytes from both, nothing from either, or an intended difference,
//! which has a row with the RFC's sentence in `src/differential/differences.rs` or below. Anything else fails
//! the test, is shown in words, and is left as a file under `target/differential/`.
//!
//! `linux_beside_linux`: the bench itself. With Linux on both sides there is no difference at all,
//! for any behavior.
//!
//! `ipv6`, `end…`, `un`, `ua`, `un_and_ua`, `h_encaps_…`, `h_insert_…`: one behavior each, as far as Linux has it.
//! (It has no USP and no USD, PSP only for End and uN, and End.DT4 and End.DT46 only with a VRF device, which many
//! kernels are built without.) Whatever Linux does, Sidewinder's side of an intended difference must be
//! what a model written from the RFCs (`src/differential/rfc.rs`) says, byte for byte; and at the end its
//! counters add up.
//!
//! `h_encaps_ipv4`, `h_encaps_red_ipv4`: the same of IPv4, which Linux encapsulates before it looks at the TTL. C-080,
//! C-082, C-084.
//!
//! `end_dx2`, `h_encaps_l2_…`: frames as cargo. Linux has a route lead into `l2encap`, Sidewinder an
//! interface: packets for that route are frames for both, and the same bytes come out. C-057, C-083, C-087.
//!
//! `h_encaps_hmac_…`, `end_hmac_…`: headends that sign, and End that asks nothing of an HMAC, that it is
//! right if there is one, or that there is one (`seg6_require_hmac` -1, 0, 1): right ones, and such with a
//! bit changed, cut off, of another length, key, place or number. C-120, C-122, C-124.
//!
//! `replay`: sends the packet of a case file, alone. `SIDEWINDER_CASE=FILE cargo test -p
//! sidewinder-tests --test differential replay -- --nocapture`.

use std::env;
use std::path::Path;

use sidewinder_tests::differential::subject::{Demand, Subject};
use sidewinder_tests::differential::{Bench, Verdict, report};
use sidewinder_tests::lab::serial;
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::skip::Need::{AfXdp, LinuxSeg6, Root, Sidewinder, Tool};

/// Packets for each behavior.
const COUNT: u32 = 10_000;
/// Packets for each behavior where only the bench is looked at.
const FEW: u32 = 500;
/// Another seed makes other packets: `SIDEWINDER_SEED`.
const SEED: u64 = 1;

#[test]
fn linux_beside_linux() -> Outcome {
    needs!(Root, LinuxSeg6, Tool("ethtool"), Tool("setsid"));
    let _turn = serial();
    // Linux numbers its IPv4 answers at random.
    for subject in Subject::ALL.into_iter().filter(|subject| !subject.takes_v4()) {
        let report = Bench::of_linux(subject)?.run(seed(), FEW)?;
        println!("{report}");
        report.all_explained()?;
        assert_eq!(report.total(), FEW);
        assert!(report.intended.is_empty(), "{report}");
        assert!(report.forwarded >= FEW / 8, "too few good packets: {report}");
    }
    Ok(())
}

macro_rules! compare {
    ($($name:ident $subject:expr;)+) => {$(
        #[test]
        fn $name() -> Outcome {
            needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"), Tool("setsid"));
            let _turn = serial();
            compare($subject)
        }
    )+};
}

compare! {
    ipv6 Subject::Forward;
    end Subject::End;
    end_psp Subject::EndPsp;
    end_x Subject::EndX;
    end_t Subject::EndT;
    un Subject::UN;
    un_psp Subject::UNPsp;
    ua Subject::UA;
    un_and_ua Subject::UNUA;
    end_b6_encaps Subject::EndB6Encaps;
    end_dx6 Subject::EndDx6;
    end_dx4 Subject::EndDx4;
    end_dt6 Subject::EndDt6;
    end_dx2 Subject::EndDx2;
    end_hmac_ignore Subject::EndHmac(Demand::Ignore);
    end_hmac_verify_if_present Subject::EndHmac(Demand::IfPresent);
    end_hmac_require Subject::EndHmac(Demand::Require);
    h_encaps_1 Subject::Encaps(1);
    h_encaps_2 Subject::Encaps(2);
    h_encaps_3 Subject::Encaps(3);
    h_encaps_red_1 Subject::EncapsRed(1);
    h_encaps_red_2 Subject::EncapsRed(2);
    h_encaps_red_3 Subject::EncapsRed(3);
    h_encaps_hmac_1 Subject::EncapsHmac(1);
    h_encaps_hmac_3 Subject::EncapsHmac(3);
    h_encaps_red_hmac_1 Subject::EncapsRedHmac(1);
    h_encaps_red_hmac_3 Subject::EncapsRedHmac(3);
    h_encaps_ipv4 Subject::EncapsV4(2);
    h_encaps_red_ipv4 Subject::EncapsRedV4(2);
    h_encaps_l2_1 Subject::EncapsL2(1);
    h_encaps_l2_3 Subject::EncapsL2(3);
    h_encaps_l2_red_1 Subject::EncapsL2Red(1);
    h_encaps_l2_red_3 Subject::EncapsL2Red(3);
    h_insert_1 Subject::Insert(1);
    h_insert_3 Subject::Insert(3);
}

#[test]
fn replay() -> Outcome {
    let Some(file) = env::var_os("SIDEWINDER_CASE") else { return Ok(()) };
    needs!(Root, AfXdp, LinuxSeg6, Sidewinder, Tool("ethtool"), Tool("setsid"));
    let _turn = serial();
    let (subject, case) = report::load(Path::new(&file))?;
    let judged = Bench::new(subject)?.alone(case)?;
    println!("{subject}: {:?}\n{}", judged.verdict, report::told(&judged));
    assert!(!matches!(judged.verdict, Verdict::Unexplained));
    Ok(())
}

fn compare(subject: Subject) -> Outcome {
    let mut bench = Bench::new(subject)?;
    let report = bench.run(seed(), COUNT)?;
    println!("{report}");
    report.all_explained()?;
    assert_eq!(report.total(), COUNT);
    bench.counters_add_up()?;
    Ok(())
}

fn seed() -> u64 {
    env::var("SIDEWINDER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED)
}
