//! Where the boxes of a picture of services stand: callers on the left, what they call to the right of them, layer by layer.
//! Pure; loops are drawn, and nothing here depends on more than the edges.

use std::{collections::BTreeSet, fmt::Write};

/// Size of a box.
pub const BOX: (f64, f64) = (164.0, 30.0);
/// Between layers, and between boxes of one layer.
const GAP: (f64, f64) = (64.0, 14.0);
/// Room that an edge takes in a layer that it passes through.
const PASS: f64 = 14.0;
/// Around everything.
const MARGIN: f64 = 8.0;
/// Places on edges that pass through layers; beyond them edges are drawn straight.
const PASSES: usize = 2_000;
/// How often the order within layers, and the heights, are made better.
const SWEEPS: usize = 8;

/// An edge as it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Which of the edges asked for.
    pub edge: usize,
    /// The curve.
    pub path: String,
    /// The head of its arrow.
    pub head: String,
}

/// A picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Width and height of all.
    pub size: (f64, f64),
    /// Upper left corner of each box.
    pub boxes: Vec<(f64, f64)>,
    /// Edges, without those from a box to itself.
    pub lines: Vec<Line>,
}

/// Something in a layer: a box, or the place of an edge that passes through.
#[derive(Clone, Debug, Default)]
struct Spot {
    layer: usize,
    y: f64,
    passes: bool,
    before: Vec<usize>,
    after: Vec<usize>,
}

impl Spot {
    fn height(&self) -> f64 {
        if self.passes { PASS } else { BOX.1 + GAP.1 }
    }
}

/// Lays out `count` boxes with these edges (caller, callee). Edges of boxes that there are not are left out.
pub fn lay(count: usize, edges: &[(usize, usize)]) -> Layout {
    let valid = |(_, (from, to)): &(usize, (usize, usize))| *from < count && *to < count && from != to;
    let edges: Vec<(usize, (usize, usize))> = edges.iter().copied().enumerate().filter(valid).collect();
    let pairs: Vec<(usize, usize)> = edges.iter().map(|(_, pair)| *pair).collect();
    let turned = turned(count, &pairs);
    // Every edge goes to the right here; those that close a loop are drawn against it.
    let forward: Vec<(usize, usize)> =
        pairs.iter().map(|&(a, b)| if turned.contains(&(a, b)) { (b, a) } else { (a, b) }).collect();
    let layers = layers(count, &forward);
    let mut spots: Vec<Spot> = layers.iter().map(|&layer| Spot { layer, ..Spot::default() }).collect();
    let mut ways: Vec<Vec<usize>> = Vec::with_capacity(forward.len());
    for &(from, to) in &forward {
        ways.push(way(&mut spots, from, to));
    }
    let mut rows = order(&spots);
    heights(&mut spots, &mut rows);
    let boxes: Vec<(f64, f64)> = spots.iter().take(count).map(|s| (x(s.layer), s.y)).collect();
    let lines = edges.iter().zip(&ways).map(|((edge, pair), way)| {
        let points: Vec<(f64, f64, bool)> =
            way.iter().filter_map(|s| spots.get(*s)).map(|s| (x(s.layer), s.y, s.passes)).collect();
        let (path, head) = draw(&points, turned.contains(pair));
        Line { edge: *edge, path, head }
    });
    let lines: Vec<Line> = lines.collect();
    let depth = layers.iter().max().map_or(0, |l| l + 1);
    let bottom = spots.iter().map(|s| s.y + s.height()).fold(0.0, f64::max);
    let width = if depth == 0 { 0.0 } else { x(depth - 1) + BOX.0 };
    Layout { size: (width + MARGIN, bottom - GAP.1.min(bottom) + MARGIN), boxes, lines }
}

#[allow(clippy::cast_precision_loss)]
fn x(layer: usize) -> f64 {
    MARGIN + layer as f64 * (BOX.0 + GAP.0)
}

/// Edges that close a loop: without them there is none. Walked from the boxes that nobody calls, without recursion.
fn turned(count: usize, edges: &[(usize, usize)]) -> BTreeSet<(usize, usize)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Never,
        Open,
        Done,
    }
    let after = neighbours(count, edges.iter().copied());
    let mut called = vec![false; count];
    for (_, to) in edges {
        if let Some(c) = called.get_mut(*to) {
            *c = true;
        }
    }
    let is_called = |n: &usize| called.get(*n).copied().unwrap_or_default();
    let starts = (0..count).filter(|n| !is_called(n)).chain((0..count).filter(is_called));
    let mut seen = vec![Seen::Never; count];
    let mut turned = BTreeSet::new();
    for start in starts {
        let mut stack = vec![(start, 0_usize)];
        while let Some((node, next)) = stack.pop() {
            let Some(state) = seen.get_mut(node) else { continue };
            if next == 0 {
                if *state != Seen::Never {
                    continue;
                }
                *state = Seen::Open;
            }
            match after.get(node).and_then(|all| all.get(next)) {
                Some(&to) => {
                    stack.push((node, next + 1));
                    match seen.get(to) {
                        Some(Seen::Open) => {
                            turned.insert((node, to));
                        }
                        Some(Seen::Never) => stack.push((to, 0)),
                        _ => {}
                    }
                }
                None => {
                    if let Some(state) = seen.get_mut(node) {
                        *state = Seen::Done;
                    }
                }
            }
        }
    }
    turned
}

fn neighbours(count: usize, edges: impl Iterator<Item = (usize, usize)>) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new(); count];
    for (from, to) in edges {
        if let Some(of) = all.get_mut(from) {
            of.push(to);
        }
    }
    all
}

/// The layer of each box: one more than the furthest of its callers; a box that nobody calls stands right before the nearest
/// that it calls.
fn layers(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let after = neighbours(count, edges.iter().copied());
    let mut waiting = vec![0_usize; count];
    for (_, to) in edges {
        if let Some(n) = waiting.get_mut(*to) {
            *n += 1;
        }
    }
    let first: Vec<bool> = waiting.iter().map(|n| *n == 0).collect();
    let mut layers = vec![0_usize; count];
    let mut ready: Vec<usize> = (0..count).filter(|n| first.get(*n).copied().unwrap_or_default()).collect();
    while let Some(node) = ready.pop() {
        let layer = layers.get(node).copied().unwrap_or(0);
        for &to in after.get(node).into_iter().flatten() {
            if let Some(l) = layers.get_mut(to) {
                *l = layer.saturating_add(1).max(*l);
            }
            if let Some(n) = waiting.get_mut(to) {
                *n -= 1;
                if *n == 0 {
                    ready.push(to);
                }
            }
        }
    }
    for node in (0..count).filter(|n| first.get(*n).copied().unwrap_or_default()) {
        let nearest = after.get(node).into_iter().flatten().filter_map(|to| layers.get(*to)).min().copied();
        if let (Some(nearest), Some(layer)) = (nearest, layers.get_mut(node)) {
            *layer = nearest.saturating_sub(1);
        }
    }
    layers
}

/// The spots of an edge from its left end to its right one, with a new one in every layer between.
fn way(spots: &mut Vec<Spot>, from: usize, to: usize) -> Vec<usize> {
    let layer = |spots: &[Spot], n: usize| spots.get(n).map_or(0, |s| s.layer);
    let (first, last) = (layer(spots, from), layer(spots, to));
    let mut way = vec![from];
    let passing = last.saturating_sub(first + 1);
    if spots.iter().filter(|s| s.passes).count() + passing <= PASSES {
        for layer in first + 1..last {
            way.push(spots.len());
            spots.push(Spot { layer, passes: true, ..Spot::default() });
        }
    }
    way.push(to);
    for (a, b) in way.iter().zip(way.iter().skip(1)) {
        if let Some(s) = spots.get_mut(*a) {
            s.after.push(*b);
        }
        if let Some(s) = spots.get_mut(*b) {
            s.before.push(*a);
        }
    }
    way
}

/// The order of the spots of each layer: near their neighbours in the layers beside it, so that few edges cross.
fn order(spots: &[Spot]) -> Vec<Vec<usize>> {
    let depth = spots.iter().map(|s| s.layer + 1).max().unwrap_or(0);
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); depth];
    for (n, spot) in spots.iter().enumerate() {
        if let Some(row) = rows.get_mut(spot.layer) {
            row.push(n);
        }
    }
    let mut at: Vec<f64> = vec![0.0; spots.len()];
    note(&rows, &mut at);
    for sweep in 0..SWEEPS {
        let down = sweep % 2 == 0;
        let layers: Vec<usize> = if down { (0..depth).collect() } else { (0..depth).rev().collect() };
        for layer in layers {
            let Some(row) = rows.get_mut(layer) else { continue };
            let middle = |n: &usize| {
                let beside = spots.get(*n).map(|s| if down { &s.before } else { &s.after });
                let own = at.get(*n).copied().unwrap_or(0.0);
                mean(beside.into_iter().flatten().filter_map(|b| at.get(*b).copied())).unwrap_or(own)
            };
            let mut keyed: Vec<(f64, usize)> = row.iter().map(|n| (middle(n), *n)).collect();
            // Stable: what ties stays as it was.
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            *row = keyed.into_iter().map(|(_, n)| n).collect();
            note(std::slice::from_ref(row), &mut at);
        }
    }
    rows
}

/// Notes where in its row each spot stands, as a share of the row, so that long and short rows compare.
#[allow(clippy::cast_precision_loss)]
fn note(rows: &[Vec<usize>], at: &mut [f64]) {
    for row in rows {
        for (place, n) in row.iter().enumerate() {
            if let Some(a) = at.get_mut(*n) {
                *a = (place as f64 + 0.5) / row.len() as f64;
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut n) = (0.0, 0_usize);
    for value in values {
        sum += value;
        n += 1;
    }
    (n > 0).then(|| sum / n as f64)
}

/// Heights: every spot as near to the mean of its neighbours as the others of its layer leave room.
fn heights(spots: &mut [Spot], rows: &mut [Vec<usize>]) {
    let set = |spots: &mut [Spot], n: usize, y: f64| {
        if let Some(s) = spots.get_mut(n) {
            s.y = y;
        }
    };
    let of = |spots: &[Spot], n: usize| spots.get(n).map_or((0.0, 0.0), |s| (s.y, s.height()));
    for row in rows.iter() {
        let mut y = 0.0;
        for n in row {
            set(spots, *n, y);
            y += of(spots, *n).1;
        }
    }
    for sweep in 0..SWEEPS {
        for layer in 0..rows.len() {
            let layer = if sweep % 2 == 0 { layer } else { rows.len() - 1 - layer };
            let Some(row) = rows.get(layer) else { continue };
            let centre = |n: usize| spots.get(n).map(|s| s.y + if s.passes { 0.0 } else { BOX.1 / 2.0 });
            let wanted: Vec<f64> = row
                .iter()
                .filter_map(|n| spots.get(*n))
                .map(|s| {
                    let beside = s.before.iter().chain(&s.after).filter_map(|b| centre(*b));
                    mean(beside).map_or(s.y, |m| m - if s.passes { 0.0 } else { BOX.1 / 2.0 })
                })
                .collect();
            let tall: Vec<f64> = row.iter().map(|n| of(spots, *n).1).collect();
            // As high as possible, and as low as possible, both with room for all; half way between there is room as well.
            let mut low = f64::NEG_INFINITY;
            let mut lows = Vec::with_capacity(row.len());
            for (want, tall) in wanted.iter().zip(&tall) {
                let y = want.max(low);
                lows.push(y);
                low = y + tall;
            }
            let mut high = f64::INFINITY;
            let mut highs = Vec::with_capacity(row.len());
            for (want, tall) in wanted.iter().zip(&tall).rev() {
                let y = want.min(high - tall);
                highs.push(y);
                high = y;
            }
            for ((n, low), high) in row.iter().zip(lows).zip(highs.into_iter().rev()) {
                set(spots, *n, f64::midpoint(low, high));
            }
        }
    }
    let top = spots.iter().map(|s| s.y).fold(f64::INFINITY, f64::min);
    if top.is_finite() {
        spots.iter_mut().for_each(|s| s.y += MARGIN - top);
    }
}

/// The curve through these spots, and the head of its arrow: at the right end, or at the left one for what was turned.
fn draw(points: &[(f64, f64, bool)], turned: bool) -> (String, String) {
    let mut path = String::new();
    let mut last: Option<(f64, f64)> = None;
    let mut first = (0.0, 0.0);
    let count = points.len();
    for (n, (x, y, passes)) in points.iter().enumerate() {
        let y = if *passes { *y } else { y + BOX.1 / 2.0 };
        let (left, right) = (*x, x + BOX.0);
        match last {
            None => {
                first = (right, y);
                let _ = write!(path, "M{right:.1} {y:.1}");
                last = Some(first);
            }
            Some((from_x, from_y)) => {
                let middle = f64::midpoint(from_x, left);
                let _ = write!(path, "C{middle:.1} {from_y:.1} {middle:.1} {y:.1} {left:.1} {y:.1}");
                last = Some((left, y));
                if n + 1 < count {
                    let _ = write!(path, "H{right:.1}");
                    last = Some((right, y));
                }
            }
        }
    }
    let ((x, y), back) = if turned { (first, 6.0) } else { (last.unwrap_or(first), -6.0) };
    let head = format!("M{x:.1} {y:.1}l{back} -3.5v7z");
    (path, head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn columns(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
        let laid = lay(count, edges);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        laid.boxes.iter().map(|(x, _)| ((x - MARGIN) / (BOX.0 + GAP.0)).round() as usize).collect()
    }

    #[test]
    fn callers_stand_left_of_what_they_call() {
        let check =
            |count, edges: &[(usize, usize)], want: &[usize]| assert_eq!(columns(count, edges), want, "{edges:?}");
        check(0, &[], &[]);
        check(2, &[], &[0, 0]);
        check(3, &[(0, 1), (1, 2)], &[0, 1, 2]);
        check(4, &[(0, 1), (1, 2), (0, 2), (3, 2)], &[0, 1, 2, 1]);
        // Loops: one edge goes back.
        check(2, &[(0, 1), (1, 0)], &[0, 1]);
        check(3, &[(0, 1), (1, 2), (2, 0)], &[0, 1, 2]);
        check(4, &[(3, 0), (0, 1), (1, 2), (2, 0)], &[1, 2, 3, 0]);
        check(1, &[(0, 0), (0, 9)], &[0]);
    }

    #[test]
    fn an_edge_that_closes_a_loop_points_to_the_left() {
        let laid = lay(2, &[(0, 1), (1, 0)]);
        assert!(laid.lines[0].head.contains("l-6 ") && laid.lines[1].head.contains("l6 "), "{laid:?}");
    }

    #[test]
    fn a_chain_is_straight_and_a_long_edge_goes_around() {
        let laid = lay(3, &[(0, 1), (1, 2)]);
        assert!(laid.boxes.iter().all(|b| (b.1 - laid.boxes[0].1).abs() < 0.1), "{laid:?}");
        let laid = lay(3, &[(0, 1), (1, 2), (0, 2)]);
        assert_eq!(laid.lines[2].path.matches('H').count(), 1, "it passes through the layer between");
    }

    fn whole(count: usize, edges: &[(usize, usize)]) {
        let laid = lay(count, edges);
        assert_eq!(laid.boxes.len(), count);
        for (n, a) in laid.boxes.iter().enumerate() {
            assert!(a.0 >= 0.0 && a.1 >= 0.0 && a.0 + BOX.0 <= laid.size.0 && a.1 + BOX.1 <= laid.size.1, "{laid:?}");
            for b in laid.boxes.iter().skip(n + 1).filter(|b| (b.0 - a.0).abs() < 1.0) {
                assert!((a.1 - b.1).abs() >= BOX.1, "{a:?} lies on {b:?}");
            }
        }
        assert!(laid.lines.iter().all(|l| !l.path.contains("NaN") && !l.path.contains("inf")));
    }

    #[test]
    fn the_worst_that_is_drawn_is_drawn_soon() {
        // Everybody calls everybody, and a chain that everybody joins at its ends.
        let all: Vec<(usize, usize)> = (0..150).flat_map(|a| (0..150).map(move |b| (a, b))).collect();
        whole(150, &all[..800]);
        let chain: Vec<(usize, usize)> = (0..149).map(|n| (n, n + 1)).chain((2..149).map(|n| (0, n))).collect();
        whole(150, &chain);
    }

    proptest! {
        #[test]
        fn any_graph_is_laid_out(count in 0_usize..30, edges in prop::collection::vec((0_usize..32, 0_usize..32), 0..80)) {
            whole(count, &edges);
        }
    }
}
