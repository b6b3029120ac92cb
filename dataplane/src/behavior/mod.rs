//! What a local SID does: RFC 8986, section 4, and what a headend does: section 5.
//!
//! A behavior is a function of the packet, its headers and the SID that says what is to be done
//! next; it does no I/O. To add one: a variant of [`Behavior`], a row of [`TABLE`], the function
//! in the file of its family, and a folder of golden cases.

use crate::{
    fib::{Fib, Sid},
    packet::Packet,
    pipeline::Run,
    verdict::Verdict,
    wire::ext::{ByHeaders, Headers},
};

pub mod binding;
pub mod csid;
pub mod decap;
pub mod end;
pub mod flow;
pub mod headend;
pub mod hmac;
pub mod insert;

/// The behaviors of local SIDs, as RFC 8986 names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Behavior {
    /// Section 4.1.
    End,
    /// Section 4.2.
    EndX,
    /// Section 4.3.
    EndT,
    /// Section 4.4.
    EndDx6,
    /// Section 4.5.
    EndDx4,
    /// Section 4.6.
    EndDt6,
    /// Section 4.7.
    EndDt4,
    /// Section 4.8.
    EndDt46,
    /// Section 4.9.
    EndDx2,
    /// Section 4.13.
    EndB6Encaps,
    /// Section 4.14.
    EndB6EncapsRed,
}

/// What a behavior does to packets for one SID.
pub type Act = fn(&mut Run<'_>, &Sid, &Fib);

/// All there is to know of a behavior.
#[derive(Debug)]
pub struct Row {
    /// Which one.
    pub behavior: Behavior,
    /// Its name in RFC 8986, and in iproute2's `encap seg6local action`.
    pub name: &'static str,
    /// Code points of "SRv6 Endpoint Behaviors" at IANA: without flavor, and with PSP, USP, PSP
    /// and USP in this order from `code_point + 1`; with USD likewise from `code_point_usd`.
    pub code_point: u16,
    /// Code point with USD, for behaviors that take flavors.
    pub code_point_usd: Option<u16>,
    /// What it does.
    pub act: Act,
    /// The same with NEXT-CSID.
    pub next_csid: csid::Row,
}

/// Makes an [`Act`] of a function of one packet, its headers, its SID and the FIB, which is compiled
/// into the loop over the packets.
macro_rules! each {
    ($act:path) => {{
        #[derive(Clone, Copy)]
        struct One<'a>(&'a Sid, &'a Fib);
        impl ByHeaders for One<'_> {
            #[inline(always)]
            fn act(self, packet: &mut Packet<'_>, headers: Headers) -> Verdict {
                $act(packet, headers, self.0, self.1)
            }
        }
        |run, sid, fib| run.each_by_headers(One(sid, fib))
    }};
}

/// The behaviors, in the order of [`Behavior`].
pub static TABLE: [Row; 11] = [
    row(Behavior::End, "End", 1, Some(28), each!(end::end), csid(43, Some(47), csid::end)),
    row(Behavior::EndX, "End.X", 5, Some(32), each!(end::end_x), csid(52, Some(56), csid::end_x)),
    row(Behavior::EndT, "End.T", 9, Some(36), each!(end::end_t), csid(85, Some(89), csid::end_t)),
    decapsulation(Behavior::EndDx6, "End.DX6", 16, 60, each!(decap::end_dx6)),
    decapsulation(Behavior::EndDx4, "End.DX4", 17, 61, each!(decap::end_dx4)),
    decapsulation(Behavior::EndDt6, "End.DT6", 18, 62, each!(decap::end_dt6)),
    decapsulation(Behavior::EndDt4, "End.DT4", 19, 63, each!(decap::end_dt4)),
    decapsulation(Behavior::EndDt46, "End.DT46", 20, 64, each!(decap::end_dt46)),
    decapsulation(Behavior::EndDx2, "End.DX2", 21, 65, each!(decap::end_dx2)),
    binding(Behavior::EndB6Encaps, "End.B6.Encaps", 14, 93),
    binding(Behavior::EndB6EncapsRed, "End.B6.Encaps.Red", 27, 94),
];

const fn row(
    behavior: Behavior,
    name: &'static str,
    code_point: u16,
    code_point_usd: Option<u16>,
    act: Act,
    next_csid: csid::Row,
) -> Row {
    Row { behavior, name, code_point, code_point_usd, act, next_csid }
}

const fn csid(code_point: u16, code_point_usd: Option<u16>, act: Act) -> csid::Row {
    csid::Row { code_point, code_point_usd, act }
}

/// A behavior that does the same with NEXT-CSID as without, and takes no other flavor.
const fn decapsulation(
    behavior: Behavior,
    name: &'static str,
    code_point: u16,
    code_point_csid: u16,
    act: Act,
) -> Row {
    row(behavior, name, code_point, None, act, csid(code_point_csid, None, act))
}

/// A behavior that steers into a policy: which of them is the policy's matter.
const fn binding(
    behavior: Behavior,
    name: &'static str,
    code_point: u16,
    code_point_csid: u16,
) -> Row {
    let with_csid = csid(code_point_csid, None, binding::end_b6_encaps_csid);
    row(behavior, name, code_point, None, binding::end_b6_encaps, with_csid)
}

impl Behavior {
    /// Its row of the table.
    #[inline(always)]
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Its name in RFC 8986.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What it does with these flavors.
    #[inline(always)]
    pub fn act(self, flavors: Flavors) -> Act {
        let row = self.row();
        if flavors.has(Flavors::NEXT_CSID) { row.next_csid.act } else { row.act }
    }

    /// The code point of the behavior with these flavors at IANA.
    pub fn code_point(self, flavors: Flavors) -> u16 {
        let row = self.row();
        if flavors.has(Flavors::NEXT_CSID) {
            return row.next_csid.code_point(flavors);
        }
        flavors.offset_of(row.code_point, row.code_point_usd)
    }
}

/// A set of the flavors of RFC 8986, section 4.16, and RFC 9800, section 4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Flavors(u8);

impl Flavors {
    /// None.
    pub const NONE: Self = Self(0);
    /// Penultimate Segment Pop of the SRH.
    pub const PSP: Self = Self(1);
    /// Ultimate Segment Pop of the SRH.
    pub const USP: Self = Self(2);
    /// Ultimate Segment Decapsulation.
    pub const USD: Self = Self(4);
    /// The argument is the rest of a container of compressed SIDs.
    pub const NEXT_CSID: Self = Self(8);

    /// The set with these, too.
    #[must_use]
    pub const fn with(self, more: Self) -> Self {
        Self(self.0 | more.0)
    }

    /// Whether all of `flavors` are in the set.
    #[inline(always)]
    pub const fn has(self, flavors: Self) -> bool {
        self.0 & flavors.0 == flavors.0
    }

    /// Their names, in the order of the RFCs.
    pub fn names(self) -> Vec<&'static str> {
        let all = [
            (Self::PSP, "PSP"),
            (Self::USP, "USP"),
            (Self::USD, "USD"),
            (Self::NEXT_CSID, "NEXT-CSID"),
        ];
        all.into_iter().filter_map(|(flavor, name)| self.has(flavor).then_some(name)).collect()
    }

    /// The code point of a behavior with PSP, USP and USD of this set: `plain` is the one without
    /// them, `usd` the one with USD alone, of a behavior that takes them.
    fn offset_of(self, plain: u16, usd: Option<u16>) -> u16 {
        let combination = u16::from(self.has(Self::PSP)) + 2 * u16::from(self.has(Self::USP));
        match usd {
            Some(usd) if self.has(Self::USD) => usd + combination,
            Some(_) => plain + combination,
            None => plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.behavior as usize, index);
            assert_eq!(row.behavior.row().name, row.name);
        }
    }

    /// C-064, C-074: code points as registered at IANA.
    #[test]
    fn code_points() {
        let all = Flavors::PSP.with(Flavors::USP).with(Flavors::USD);
        let csid = |flavors: Flavors| flavors.with(Flavors::NEXT_CSID);
        for (behavior, flavors, code_point) in [
            (Behavior::End, Flavors::NONE, 1),
            (Behavior::End, Flavors::PSP, 2),
            (Behavior::End, Flavors::USP, 3),
            (Behavior::End, Flavors::PSP.with(Flavors::USP), 4),
            (Behavior::End, Flavors::USD, 28),
            (Behavior::End, Flavors::PSP.with(Flavors::USD), 29),
            (Behavior::End, Flavors::USP.with(Flavors::USD), 30),
            (Behavior::End, all, 31),
            (Behavior::EndX, Flavors::NONE, 5),
            (Behavior::EndX, all, 35),
            (Behavior::EndT, Flavors::NONE, 9),
            (Behavior::EndT, Flavors::USD, 36),
            (Behavior::EndDx6, Flavors::NONE, 16),
            (Behavior::EndDx4, Flavors::NONE, 17),
            (Behavior::EndDt6, Flavors::NONE, 18),
            (Behavior::EndDt4, Flavors::NONE, 19),
            (Behavior::EndDt46, Flavors::NONE, 20),
            (Behavior::End, csid(Flavors::NONE), 43),
            (Behavior::End, csid(Flavors::PSP), 44),
            (Behavior::End, csid(Flavors::PSP.with(Flavors::USP)), 46),
            (Behavior::End, csid(Flavors::PSP.with(Flavors::USD)), 48),
            (Behavior::End, csid(all), 50),
            (Behavior::EndX, csid(Flavors::NONE), 52),
            (Behavior::EndX, csid(all), 59),
            (Behavior::EndT, csid(Flavors::NONE), 85),
            (Behavior::EndT, csid(Flavors::USD), 89),
            (Behavior::EndT, csid(all), 92),
            (Behavior::EndDx6, csid(Flavors::NONE), 60),
            (Behavior::EndDx4, csid(Flavors::NONE), 61),
            (Behavior::EndDt6, csid(Flavors::NONE), 62),
            (Behavior::EndDt4, csid(Flavors::NONE), 63),
            (Behavior::EndDt46, csid(Flavors::NONE), 64),
            (Behavior::EndDx2, Flavors::NONE, 21),
            (Behavior::EndDx2, csid(Flavors::NONE), 65),
            (Behavior::EndB6Encaps, Flavors::NONE, 14),
            (Behavior::EndB6EncapsRed, Flavors::NONE, 27),
            (Behavior::EndB6Encaps, csid(Flavors::NONE), 93),
            (Behavior::EndB6EncapsRed, csid(Flavors::NONE), 94),
        ] {
            assert_eq!(behavior.code_point(flavors), code_point, "{behavior:?} {flavors:?}");
        }
    }
}
