//! What is compared: every behavior, each with a configuration of its own.

use anyhow::Result;

use crate::differential::subject::{self, SOURCES, Subject};
use crate::generator::{self, Case};
use crate::lab::star::{LINKS, ROUTER_MACS, WORLD_MACS};
use crate::packet::build::{self, Ipv4, Ipv6, Layer};
use crate::packet::{mac, tag};

/// A configuration and the packets for it.
#[derive(Debug)]
pub struct Plan {
    /// Its name, also as a file name.
    pub name: String,
    toml: String,
    packets: Packets,
}

#[derive(Clone, Copy, Debug)]
enum Packets {
    /// The generator's, for these subjects in turn.
    Generated(&'static [Subject]),
    /// Plain IPv4.
    Ipv4,
    /// Ethernet frames behind an IPv6 header, to the SID.
    Frames,
}

/// A policy for whole interfaces: in0 is steered into it.
const WIRE: &str = "wire";

/// A route for IPv4, in the table that is to be appended.
const IPV4: &str = "[[route]]\nprefix = \"198.51.100.0/24\"\nnh4 = \"10.9.0.2\"\n\
                    interface = \"out1\"\ntable = ";

impl Plan {
    /// Every behavior and every flavor of it.
    pub fn all() -> Vec<Self> {
        // Whole interfaces, IPv4 and End.DX2 have plans of their own; keys are the differential test's.
        let own = |subject: &&Subject| {
            let other = subject.takes_frames() || subject.takes_v4();
            other || subject.has_keys() || **subject == Subject::EndDx2
        };
        let mut plans: Vec<Self> = Subject::ALL
            .iter()
            .filter(|subject| !own(subject))
            .map(|subject| Self {
                name: subject.to_string(),
                toml: subject.toml(),
                packets: Packets::Generated(std::slice::from_ref(subject)),
            })
            .collect();
        let mut add = |name: &str, toml: String, packets| {
            plans.push(Self { name: name.into(), toml, packets });
        };
        // A packet for End is one for all of its flavors, and for those of End.X and End.T.
        const END: Packets = Packets::Generated(&[Subject::End, Subject::EndDt6]);
        for flavors in [&["USP"][..], &["USD"], &["PSP", "USD"], &["PSP", "USP", "USD"]] {
            let name = format!("End-{}", flavors.join("-"));
            add(&name, sid(&format!("behavior = \"End\"\nflavors = {flavors:?}")), END);
        }
        let all = "flavors = [\"PSP\", \"USP\", \"USD\"]";
        let end_x = "behavior = \"End.X\"\nnh6 = \"fe80::c\"\ninterface = \"out1\"\n";
        add("End.X-PSP-USP-USD", sid(&format!("{end_x}{all}")), END);
        add("End.T-PSP-USP-USD", sid(&format!("behavior = \"End.T\"\ntable = 100\n{all}")), END);
        const INNER4: Packets = Packets::Generated(&[Subject::EndDx4]);
        let end_dt =
            |name: &str| sid(&format!("behavior = \"{name}\"\ntable = 100")) + IPV4 + "100\n";
        add("End.DT4", end_dt("End.DT4"), INNER4);
        const BOTH: Packets = Packets::Generated(&[Subject::EndDx4, Subject::EndDt6]);
        add("End.DT46", end_dt("End.DT46"), BOTH);
        let back = IPV4.replace("198.51.100", "192.0.2");
        let csid = |sid: String, behavior: &str| {
            let lines = format!(
                "behavior = \"{behavior}\"\ntable = 100\nblock-bits = 32\n\
                 flavors = [\"NEXT-CSID\"]"
            );
            sid_of(&sid, &lines)
        };
        let un = format!("{}/48", Subject::UN.target());
        add("End.T-NEXT-CSID", csid(un, "End.T"), Packets::Generated(&[Subject::UN]));
        let udt = format!("{}/64", Subject::EndDt6.target());
        add("End.DT6-NEXT-CSID", csid(udt, "End.DT6"), Packets::Generated(&[Subject::EndDt6]));
        let policy = |name: &str, behavior: &str| {
            format!(
                "[[policy]]\nname = \"{name}\"\nbehavior = \"{behavior}\"\nsegs = {:?}\n",
                Subject::Encaps(2).segments()
            )
        };
        let binding = format!("bsid = \"{}\"\n\n", Subject::EndB6Encaps.target());
        const BINDING: Packets = Packets::Generated(&[Subject::EndB6Encaps]);
        add("End.B6.Encaps.Red", policy("far", "H.Encaps.Red") + &binding, BINDING);
        add("End.DX2", sid("behavior = \"End.DX2\"\ninterface = \"out1\""), Packets::Frames);
        for behavior in ["H.Encaps.L2", "H.Encaps.L2.Red"] {
            add(behavior, policy(WIRE, behavior), Packets::Generated(&[Subject::Forward]));
        }
        add("IPv4", format!("{IPV4}\"main\"\n\n{back}\"main\"\n"), Packets::Ipv4);
        plans
    }

    /// The configuration; `zero_copy` is the mode of every interface.
    pub fn toml(&self, zero_copy: &str) -> String {
        let mut interfaces = subject::toml();
        if self.toml.contains(WIRE) {
            let steered = format!("name = \"{0}\"\n", LINKS[0]);
            interfaces = interfaces.replace(&steered, &format!("{steered}policy = \"{WIRE}\"\n"));
        }
        with_zero_copy(&format!("{interfaces}{}", self.toml), zero_copy)
    }

    /// So many packets.
    pub fn cases(&self, seed: u64, count: u32) -> Result<Vec<Case>> {
        (0..count)
            .map(|id| match self.packets {
                Packets::Generated(subjects) => {
                    let subject = subjects[id as usize % subjects.len()];
                    Ok(generator::case(subject, seed, id))
                }
                Packets::Ipv4 => ipv4(id),
                Packets::Frames => frame(id),
            })
            .collect()
    }
}

/// The same configuration with this mode on every interface.
pub fn with_zero_copy(toml: &str, mode: &str) -> String {
    LINKS.iter().fold(toml.to_owned(), |toml, link| {
        let name = format!("[[interface]]\nname = \"{link}\"\n");
        toml.replace(&name, &format!("{name}zero-copy = \"{mode}\"\n"))
    })
}

fn sid(lines: &str) -> String {
    sid_of(&Subject::End.target().to_string(), lines)
}

fn sid_of(sid: &str, lines: &str) -> String {
    format!("[[sid]]\nsid = \"{sid}\"\n{lines}\n\n")
}

/// An Ethernet frame as cargo: most are good, some are too short for one, or something else.
fn frame(id: u32) -> Result<Case> {
    const ETHERNET: u8 = 143;
    const EXPERIMENT: u8 = 253;
    let header = Ipv6::new(tag::address(SOURCES.parse()?, id), Subject::End.target());
    let inside = [vec![0x02; 12], tag::tag(id).to_vec(), vec![0x5a; id as usize * 37 % 1300]];
    let (note, layer) = match id % 10 {
        0 => ("no frame", Layer::Raw(EXPERIMENT, inside.concat())),
        1 => ("short frame", Layer::Raw(ETHERNET, vec![0x02; 13])),
        _ => ("good", Layer::Raw(ETHERNET, inside.concat())),
    };
    let frame =
        build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &[Layer::Ipv6(header), layer]);
    Ok(Case { id, note: note.into(), frame })
}

/// An IPv4 packet: most are to be forwarded, some have no hops left, no route, a broken header, or
/// are too long.
fn ipv4(id: u32) -> Result<Case> {
    let mut header = Ipv4 {
        service: ((id % 64) << 2).to_le_bytes()[0],
        id: (id * 7).to_le_bytes()[0].into(),
        whole: id.is_multiple_of(2),
        hops: 64,
        source: "192.0.2.1".parse()?,
        destination: "198.51.100.9".parse()?,
    };
    let note = match id % 10 {
        0 => "hop limit 1",
        1 => "hop limit 2",
        2 => "no route",
        3 => "broken checksum",
        _ => "good",
    };
    match note {
        "hop limit 1" => header.hops = 1,
        "hop limit 2" => header.hops = 2,
        "no route" => header.destination = "203.0.113.1".parse()?,
        _ => {}
    }
    let payload = [tag::tag(id).to_vec(), vec![0x5a; id as usize * 37 % 1400]].concat();
    let layers = [Layer::Ipv4(header), Layer::Raw(253, payload)];
    let mut frame = build::frame(mac(ROUTER_MACS[0]), mac(WORLD_MACS[0]), &layers);
    if note == "broken checksum" {
        frame[24] ^= 1;
    }
    Ok(Case { id, note: note.into(), frame })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::daemon;
    use crate::needs;
    use crate::outcome::Outcome;
    use crate::skip::Need::Sidewinder;

    #[test]
    fn configurations_are_good() -> Outcome {
        needs!(Sidewinder);
        for plan in Plan::all() {
            let toml = plan.toml("require");
            assert_eq!(toml.matches("zero-copy").count(), 3, "{toml}");
            assert_eq!(daemon::check(&toml), Ok(()), "{}", plan.name);
        }
        Ok(())
    }
}
