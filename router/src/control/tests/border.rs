//! The border of the domain, as a file that is read again moves it.

use sidewinder_dataplane::fib::SourceCheck;

use super::*;

const TOML: &str = r#"
    [router]
    [[interface]]
    name = "eth0"
    DOMAIN
    [[interface]]
    name = "eth1"
    [[neighbor]]
    address = "fe80::2"
    interface = "eth0"
    mac = "02:00:00:00:00:12"
    [[route]]
    prefix = "::/0"
    nh6 = "fe80::2"
    interface = "eth0"
    "#;

/// C-113, C-165: an interface that is external now has its sources checked, and its neighbours watched;
/// and not any more when it is no longer.
#[test]
fn interfaces_change_sides() {
    let view = view(&[]);
    let toml = |domain: &str| config(&TOML.replace("DOMAIN", domain));
    let mut control = Control::new(toml(""), &view, 1);
    for (domain, external, check, watched) in [
        ("", false, SourceCheck::Off, false),
        ("domain = \"external\"", true, SourceCheck::Domain, true),
        (
            "domain = \"external\"\nlet-sids-out = true\nsource-check = \"strict\"",
            true,
            SourceCheck::Strict,
            false,
        ),
        ("source-check = \"loose\"", false, SourceCheck::Loose, false),
    ] {
        control.configure(toml(domain), &view);
        assert!(control.publish());
        let fib = control.writer.live();
        assert_eq!((fib.ports[0].external, fib.ports[0].source_check), (external, check));
        assert_eq!(fib.adjacencies[0].is_watched(), watched, "{domain}");
        assert_eq!(fib.adjacencies[0].mtu_in(fib), 1500);
        assert!(!fib.ports[1].external && !fib.ports[1].is_special());
    }
}
