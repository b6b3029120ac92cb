//! Where nodes are put: next to their neighbors, away from all others.
//!
//! After T. Fruchterman and E. Reingold, "Graph drawing by force-directed placement" (1991),
//! beginning with a circle, so that the same topology gives the same picture.

/// From here on, what each node does to each other takes too long, and is too small to be seen.
const MANY: usize = 600;

/// A place for each of `count` nodes: about 1 apart, the least coordinates 0.
pub(super) fn layout(count: usize, lines: &[(usize, usize)]) -> Vec<(f64, f64)> {
    let mut places: Vec<(f64, f64)> = (0..count).map(|node| on_circle(node, count)).collect();
    let rounds = match count {
        0..3 => 0,
        3..100 => 500,
        100..MANY => 150,
        _ => 0,
    };
    for round in 0..rounds {
        // How far a node may move: less and less.
        let most = (count as f64).sqrt() * 0.3 * (1.0 - round as f64 / rounds as f64) + 0.01;
        move_all(&mut places, lines, most);
    }
    let least = |of: fn(&(f64, f64)) -> f64| places.iter().map(of).fold(f64::INFINITY, f64::min);
    let (left, top) = (least(|place| place.0), least(|place| place.1));
    places.iter().map(|(x, y)| (x - left, y - top)).collect()
}

fn on_circle(node: usize, count: usize) -> (f64, f64) {
    let turn = std::f64::consts::TAU / count as f64;
    // Neighbors on the circle are 1 apart.
    let radius = if count > 1 { 0.5 / (turn / 2.0).sin() } else { 0.0 };
    let angle = node as f64 * turn - std::f64::consts::FRAC_PI_2;
    (radius * angle.cos(), radius * angle.sin())
}

fn move_all(places: &mut [(f64, f64)], lines: &[(usize, usize)], most: f64) {
    let mut forces = vec![(0.0, 0.0); places.len()];
    let mut push = |one: usize, other: usize, strength: &dyn Fn(f64) -> f64| {
        let (dx, dy) = (places[one].0 - places[other].0, places[one].1 - places[other].1);
        let distance = dx.hypot(dy).max(0.01);
        let (x, y) = (dx / distance * strength(distance), dy / distance * strength(distance));
        forces[one].0 += x;
        forces[one].1 += y;
        forces[other].0 -= x;
        forces[other].1 -= y;
    };
    for one in 0..places.len() {
        for other in 0..one {
            // Near to each other, boxes would overlap.
            push(one, other, &|distance| 1.0 / distance + 0.5 / distance.powi(4));
        }
    }
    for &(one, other) in lines {
        if one != other {
            push(one, other, &|distance| -distance * distance);
        }
    }
    for (place, (x, y)) in places.iter_mut().zip(forces) {
        let length = f64::hypot(x, y).max(1e-9);
        let step = length.min(most) / length;
        *place = (place.0 + x * step, place.1 + y * step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbors_are_nearer_than_others() {
        let ring: Vec<_> = (0..8).map(|node| (node, (node * 3 + 3) % 24 / 3)).collect();
        let places = layout(8, &ring);
        let distance =
            |a: usize, b: usize| f64::hypot(places[a].0 - places[b].0, places[a].1 - places[b].1);
        assert!((0..8).all(|node| distance(node, (node + 1) % 8) < distance(node, (node + 4) % 8)));
    }

    #[test]
    fn all_places_are_finite_and_none_is_another() {
        for count in [0, 1, 2, 3, 50, 700] {
            let places = layout(count, &[]);
            assert!(places.iter().all(|(x, y)| x.is_finite() && y.is_finite()));
            for one in 0..count {
                assert!((0..one).all(|other| places[one] != places[other]), "{count}");
            }
        }
    }
}
