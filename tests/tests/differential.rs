//! x
use sidewinder_tests::differential::Bench;
use sidewinder_tests::differential::subject::Subject;
use sidewinder_tests::lab::serial;
use sidewinder_tests::needs;
use sidewinder_tests::outcome::Outcome;
use sidewinder_tests::skip::Need::{LinuxSeg6, Root, Tool};

#[test]
fn linux_beside_linux() -> Outcome {
    needs!(Root, LinuxSeg6, Tool("ethtool"));
    let _turn = serial();
    for subject in Subject::ALL {
        let start = std::time::Instant::now();
        let report = Bench::of_linux(subject)?.run(1, 2500)?;
        println!("{report} {:?}", start.elapsed());
        report.all_explained()?;
    }
    Ok(())
}
