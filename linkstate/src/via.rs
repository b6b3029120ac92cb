//! Segment lists that name nodes: each becomes a SID of the node.

use std::net::Ipv6Addr;

use thiserror::Error;

use crate::ted::{Behavior, FindError, NodeId, SidStructure, Ted};

/// A SID of a segment list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The node it belongs to.
    pub node: NodeId,
    /// The SID.
    pub sid: Ipv6Addr,
    /// What happens at it.
    pub behavior: Behavior,
    /// How its bits are used, where the feed tells it.
    pub structure: Option<SidStructure>,
}

/// A node cannot be made a segment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ViaError {
    /// No single node is meant.
    #[error(transparent)]
    Find(#[from] FindError),
    /// It has nothing to go to.
    #[error(
        "node `{0}` announces no SID with behavior End in a locator of algorithm 0: \
         have it announce one, or write the SID itself"
    )]
    NoSid(String),
}

/// The segment list that goes by these nodes, one after the other. It holds until the TED's
/// [`Changes`](crate::ted::Changes) name a node, a prefix or SIDs.
pub fn resolve<S: AsRef<str>>(ted: &Ted, via: &[S]) -> Result<Vec<Segment>, ViaError> {
    let one = |name: &S| {
        let name = name.as_ref();
        let no_sid = || ViaError::NoSid(name.to_owned());
        let nodes = ted.named(name);
        let router_id =
            |id: &NodeId| ted.node(*id).and_then(|node| node.key().descriptor.igp_router_id);
        // One router in two levels or areas is one router.
        if let [first, others @ ..] = &nodes[..]
            && router_id(first).is_some()
            && others.iter().all(|other| router_id(other) == router_id(first))
        {
            return nodes.iter().find_map(|id| end_sid(ted, *id)).ok_or_else(no_sid);
        }
        end_sid(ted, ted.find(name)?).ok_or_else(no_sid)
    };
    via.iter().map(one).collect()
}

/// The SID that stands for a node: of those in its locators of algorithm 0 with behavior End the
/// one with the lowest code point, and of these the lowest.
pub fn end_sid(ted: &Ted, node: NodeId) -> Option<Segment> {
    let locators: Vec<_> = ted
        .prefixes_of(node)
        .filter(|prefix| prefix.attributes.locator.as_ref().is_some_and(|l| l.algorithm == 0))
        .map(|prefix| prefix.descriptor.prefix)
        .collect();
    ted.sids_of(node)
        .filter_map(|sid| {
            let endpoint = sid.attributes.endpoint.filter(|e| e.algorithm == 0)?;
            let address = sid.descriptor.sid;
            let inside = locators.iter().any(|net| net.contains(&std::net::IpAddr::V6(address)));
            (inside && endpoint.behavior.is_end()).then_some(Segment {
                node,
                sid: address,
                behavior: endpoint.behavior,
                structure: sid.attributes.structure,
            })
        })
        .min_by_key(|segment| (segment.behavior, segment.sid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{Plan, key};
    use crate::reason::Tally;
    use crate::ted::{Event, NodeAttributes};

    fn ted() -> Ted {
        let plan = Plan { nodes: 3, links: vec![(0, 1, 10), (1, 2, 10)] };
        let (mut ted, mut tally) = (Ted::default(), Tally::default());
        plan.events().for_each(|event| ted.apply(event, &mut tally));
        ted
    }

    #[test]
    fn names_and_router_ids_become_sids() {
        let segments = resolve(&ted(), &["r2", "0000.0000.0003"]).unwrap();
        let sids: Vec<_> = segments.iter().map(|segment| segment.sid.to_string()).collect();
        assert_eq!(sids, ["fc00:0:2:1::", "fc00:0:3:1::"]);
        assert_eq!(segments[0].behavior, Behavior::END);
    }

    #[test]
    fn a_router_in_two_levels_is_one() {
        let mut ted = ted();
        let mut other = key(1);
        other.instance.protocol = crate::ted::Protocol::ISIS_L1;
        let same = NodeAttributes { name: Some("r2".into()), ..NodeAttributes::default() };
        ted.apply(Event::Node(other, same.into()), &mut Tally::default());
        assert!(ted.find("r2").is_err());
        assert_eq!(resolve(&ted, &["r2"]).unwrap()[0].sid.to_string(), "fc00:0:2:1::");
    }

    #[test]
    fn what_cannot_be_resolved_is_said() {
        let mut ted = ted();
        let error = |ted: &Ted, name| resolve(ted, &[name]).unwrap_err().to_string();
        assert_eq!(error(&ted, "r9"), "no node is called `r9`, and none has it as its router ID");
        let same = NodeAttributes { name: Some("r2".into()), ..NodeAttributes::default() };
        ted.apply(Event::Node(key(2), same.into()), &mut Tally::default());
        assert_eq!(
            error(&ted, "r2"),
            "2 nodes are called `r2`: say which by its router ID, one of \
             0000.0000.0002, 0000.0000.0003"
        );
        ted.apply(Event::Node(key(7), NodeAttributes::default().into()), &mut Tally::default());
        assert!(
            error(&ted, "0000.0000.0008").starts_with("node `0000.0000.0008` announces no SID")
        );
    }
}
