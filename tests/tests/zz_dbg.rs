//! x
use sidewinder_tests::differential::subject::Subject;
use sidewinder_tests::differential::{Bench, Verdict, report};
use sidewinder_tests::generator;
use sidewinder_tests::outcome::Outcome;
#[test]
fn dbg() -> Outcome {
    let s = Subject::named(&std::env::var("SUBJ").unwrap()).unwrap();
    let mut b = Bench::of_linux(s)?;
    let mut n = 0;
    for id in 0..400 {
        let c = generator::case(s, 1, id);
        if c.note != "good" {
            continue;
        }
        let j = b.alone(c)?;
        if matches!(j.verdict, Verdict::Nothing) {
            println!("{}", report::told(&j));
            n += 1;
            if n > 12 {
                break;
            }
        }
    }
    Ok(())
}
