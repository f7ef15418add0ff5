//! Shares of a score with two decimals that add up to it as it is shown.

/// A number in hundredths.
#[allow(clippy::cast_possible_truncation)]
pub fn hundredths(x: f64) -> i64 {
    // What is no number counts for nothing.
    (x * 100.0).round() as i64
}

/// Parts in hundredths that add up to the whole in hundredths: those that lose most by rounding down are rounded up.
/// Where the parts do not make the whole, each is rounded by itself.
#[allow(clippy::cast_possible_truncation)]
pub fn rounded(parts: &[f64], whole: f64) -> Vec<i64> {
    let mut out: Vec<i64> = parts.iter().map(|p| (p * 100.0).floor() as i64).collect();
    let rest = hundredths(whole).saturating_sub(out.iter().fold(0, |sum: i64, p| sum.saturating_add(*p)));
    let Some(rest) = usize::try_from(rest).ok().filter(|r| *r <= parts.len()) else {
        return parts.iter().map(|p| hundredths(*p)).collect();
    };
    let lost = |n: &usize| parts.get(*n).map_or(0.0, |p| p * 100.0 - (p * 100.0).floor());
    let mut most: Vec<usize> = (0..parts.len()).collect();
    most.sort_by(|a, b| lost(b).total_cmp(&lost(a)));
    for n in most.into_iter().take(rest) {
        if let Some(p) = out.get_mut(n) {
            *p += 1;
        }
    }
    out
}

/// `+0.42`, `−1.10`, `0.00`.
pub fn signed(hundredths: i64) -> String {
    let sign = match hundredths {
        0 => "",
        n if n < 0 => "\u{2212}",
        _ => "+",
    };
    let n = hundredths.unsigned_abs();
    format!("{sign}{}.{:02}", n / 100, n % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_adds_up() {
        let check = |parts: &[f64], want: &[&str]| {
            let whole: f64 = parts.iter().sum();
            let shown = rounded(parts, whole);
            assert_eq!(shown.iter().sum::<i64>(), hundredths(whole), "{parts:?}");
            assert_eq!(shown.into_iter().map(signed).collect::<Vec<_>>(), want);
        };
        check(&[], &[]);
        check(&[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0], &["+0.34", "+0.33", "+0.33"]);
        check(&[1.005, -0.4249, 0.0], &["+1.00", "\u{2212}0.42", "0.00"]);
        check(&[-0.005, -0.005], &["0.00", "\u{2212}0.01"]);
        // What does not add up is shown as it is.
        assert_eq!(rounded(&[0.5, 0.25], 2.0), [50, 25]);
        assert_eq!(rounded(&[f64::NAN, f64::INFINITY], 0.1).len(), 2);
    }
}
