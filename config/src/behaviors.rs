//! The table of behaviors: what each takes, and what becomes of it.
//!
//! A new endpoint behavior is a variant of [`Behavior`] and a row of [`ENDPOINTS`].

use crate::model::{Behavior, Headend, NextHop, Table};

/// An endpoint behavior, for `[[sid]]`.
pub(crate) struct Endpoint {
    /// As the RFC spells it.
    pub(crate) name: &'static str,
    /// Keys it cannot do without.
    pub(crate) required: &'static [&'static str],
    /// Keys it takes besides.
    pub(crate) allowed: &'static [&'static str],
    /// Flavors that it takes.
    pub(crate) flavors: &'static [&'static str],
    /// Builds it; `None` if a required key is not there.
    pub(crate) build: fn(Params) -> Option<Behavior>,
}

/// What a `[[sid]]` says besides its SID and behavior.
#[derive(Default)]
pub(crate) struct Params {
    /// Of `nh6` or `nh4`, or of `next-hops`.
    pub(crate) next_hops: Option<Vec<NextHop>>,
    pub(crate) interface: Option<String>,
    pub(crate) table: Option<Table>,
    pub(crate) policy: Option<String>,
}

/// The keys of `[[sid]]` that depend on the behavior, with an example of what to write.
pub(crate) const PARAMS: [(&str, &str); 6] = [
    ("nh6", "\"fe80::2\""),
    ("nh4", "\"192.0.2.2\""),
    ("interface", "\"eth1\""),
    ("next-hops", "[ { nh6 = \"fe80::2\", interface = \"eth1\" } ]"),
    ("table", "\"main\""),
    ("policy", "\"to-r3\""),
];

/// The flavor of RFC 9800, 4.1.
pub(crate) const NEXT_CSID: &str = "NEXT-CSID";

/// Every flavor there is: RFC 8986, 4.16, and RFC 9800, 4.1.
pub(crate) const FLAVORS: &[&str] = &["PSP", "USP", "USD", NEXT_CSID];

/// Every endpoint behavior there is (RFC 8986, section 4).
pub(crate) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        name: "End",
        required: &[],
        allowed: &[],
        flavors: FLAVORS,
        build: |_| Some(Behavior::End),
    },
    Endpoint {
        name: "End.X",
        required: &["nh6"],
        allowed: &["interface", "next-hops"],
        flavors: FLAVORS,
        build: |p| Some(Behavior::EndX { next_hops: p.next_hops? }),
    },
    Endpoint {
        name: "End.T",
        required: &["table"],
        allowed: &[],
        flavors: FLAVORS,
        build: |p| Some(Behavior::EndT { table: p.table? }),
    },
    Endpoint {
        name: "End.DX6",
        required: &["nh6"],
        allowed: &["interface", "next-hops"],
        flavors: &[NEXT_CSID],
        build: |p| Some(Behavior::EndDx6 { next_hops: p.next_hops? }),
    },
    Endpoint {
        name: "End.DX4",
        required: &["nh4"],
        allowed: &["interface", "next-hops"],
        flavors: &[NEXT_CSID],
        build: |p| Some(Behavior::EndDx4 { next_hops: p.next_hops? }),
    },
    Endpoint {
        name: "End.DT6",
        required: &["table"],
        allowed: &[],
        flavors: &[NEXT_CSID],
        build: |p| Some(Behavior::EndDt6 { table: p.table? }),
    },
    Endpoint {
        name: "End.DT4",
        required: &["table"],
        allowed: &[],
        flavors: &[NEXT_CSID],
        build: |p| Some(Behavior::EndDt4 { table: p.table? }),
    },
    Endpoint {
        name: "End.DT46",
        required: &["table"],
        allowed: &[],
        flavors: &[NEXT_CSID],
        build: |p| Some(Behavior::EndDt46 { table: p.table? }),
    },
    Endpoint {
        name: "End.DX2",
        required: &["interface"],
        allowed: &[],
        flavors: &[NEXT_CSID],
        build: |p| Some(Behavior::EndDx2 { interface: p.interface? }),
    },
    Endpoint {
        name: "End.B6.Encaps",
        required: &["policy"],
        allowed: &[],
        flavors: &[NEXT_CSID],
        build: |p| Some(Behavior::EndB6Encaps { policy: p.policy? }),
    },
    Endpoint {
        name: "End.B6.Encaps.Red",
        required: &["policy"],
        allowed: &[],
        flavors: &[NEXT_CSID],
        build: |p| Some(Behavior::EndB6EncapsRed { policy: p.policy? }),
    },
];

/// Endpoint behaviors that exist but are not in [`ENDPOINTS`] (RFC 8986, RFC 9433 and the
/// network-programming insertion draft).
const OTHER_ENDPOINTS: &[&str] = &[
    "End.DX2V",
    "End.DT2U",
    "End.DT2M",
    "End.B6.Insert",
    "End.B6.Insert.Red",
    "End.B6",
    "End.BM",
    "End.S",
    "End.AS",
    "End.AM",
    "End.AD",
    "End.BPF",
    "End.MAP",
    "End.M.GTP6.D",
    "End.M.GTP6.D.Di",
    "End.M.GTP6.E",
    "End.M.GTP4.E",
    "End.Limit",
    "End.LBS",
    "End.XPS",
];

/// Names in daily use of behaviors with NEXT-CSID.
const CSID_NAMES: &[(&str, &str)] = &[
    ("uN", "End"),
    ("uA", "End.X"),
    ("uDX6", "End.DX6"),
    ("uDX4", "End.DX4"),
    ("uDT6", "End.DT6"),
    ("uDT4", "End.DT4"),
    ("uDT46", "End.DT46"),
    ("uDX2", "End.DX2"),
];

/// Headend behaviors that exist but that [`Headend`] has not.
const OTHER_HEADENDS: &[&str] = &["H.Insert.Red", "H.M.GTP4.D"];

/// Flavors that exist but that [`crate::Flavors`] has not.
pub(crate) const OTHER_FLAVORS: &[&str] = &["REPLACE-CSID"];

/// What a name of a behavior stands for.
pub(crate) enum Named {
    Endpoint(&'static Endpoint),
    Headend(Headend),
    /// Another name of this one with NEXT-CSID.
    WithCsid(&'static str),
    /// It exists, but not here.
    Unsupported,
    /// It does not exist.
    Unknown,
}

/// Looks a behavior's name up.
pub(crate) fn named(name: &str) -> Named {
    if let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| endpoint.name == name) {
        Named::Endpoint(endpoint)
    } else if let Some((_, headend)) = Headend::WORDS.iter().find(|(word, _)| *word == name) {
        Named::Headend(*headend)
    } else if let Some((_, plain)) = CSID_NAMES.iter().find(|(other, _)| *other == name) {
        Named::WithCsid(plain)
    } else if OTHER_ENDPOINTS.contains(&name) || OTHER_HEADENDS.contains(&name) {
        Named::Unsupported
    } else {
        Named::Unknown
    }
}

impl Behavior {
    /// The behavior's name, as the RFC spells it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::End => "End",
            Self::EndX { .. } => "End.X",
            Self::EndT { .. } => "End.T",
            Self::EndDx6 { .. } => "End.DX6",
            Self::EndDx4 { .. } => "End.DX4",
            Self::EndDt6 { .. } => "End.DT6",
            Self::EndDt4 { .. } => "End.DT4",
            Self::EndDt46 { .. } => "End.DT46",
            Self::EndDx2 { .. } => "End.DX2",
            Self::EndB6Encaps { .. } => "End.B6.Encaps",
            Self::EndB6EncapsRed { .. } => "End.B6.Encaps.Red",
        }
    }
}

impl Headend {
    /// The behavior of a SID that stands for a policy with this one (RFC 8986, 4.13 and 4.14); a
    /// policy for frames, and one that inserts, have none.
    pub(crate) fn binding(self, policy: String) -> Option<Behavior> {
        match self {
            Self::HEncaps => Some(Behavior::EndB6Encaps { policy }),
            Self::HEncapsRed => Some(Behavior::EndB6EncapsRed { policy }),
            Self::HInsert | Self::HEncapsL2 | Self::HEncapsL2Red => None,
        }
    }

    /// Whether it is for Ethernet frames.
    pub fn is_l2(self) -> bool {
        matches!(self, Self::HEncapsL2 | Self::HEncapsL2Red)
    }

    /// Whether it takes IPv6 packets only.
    pub fn is_v6_only(self) -> bool {
        self == Self::HInsert
    }

    /// Whether the first segment is left out of the SRH.
    pub fn is_reduced(self) -> bool {
        matches!(self, Self::HEncapsRed | Self::HEncapsL2Red)
    }
}

impl std::fmt::Display for Behavior {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn every_row_builds_the_behavior_of_its_name() {
        for endpoint in ENDPOINTS {
            let params = Params {
                next_hops: Some(vec![NextHop::new(Ipv6Addr::LOCALHOST, None)]),
                interface: Some("eth0".to_owned()),
                table: Some(Table::MAIN),
                policy: Some("to-r3".to_owned()),
            };
            let built = (endpoint.build)(params).expect(endpoint.name);
            assert_eq!(built.to_string(), endpoint.name);
            let nothing = (endpoint.build)(Params::default());
            assert_eq!(nothing.is_none(), !endpoint.required.is_empty(), "{}", endpoint.name);
        }
    }

    #[test]
    fn no_name_is_in_two_tables() {
        for name in OTHER_ENDPOINTS.iter().chain(OTHER_HEADENDS) {
            assert!(matches!(named(name), Named::Unsupported), "{name}");
        }
    }

    #[test]
    fn parameters_of_rows_are_known() {
        for endpoint in ENDPOINTS {
            for key in endpoint.required.iter().chain(endpoint.allowed) {
                assert!(PARAMS.iter().any(|(param, _)| param == key), "{key}");
            }
        }
    }
}
