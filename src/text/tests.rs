use super::*;

fn likeness(a: (&str, &str), b: (&str, &str)) -> f64 {
    similarity(&Doc::read(a.0, a.1), &Doc::read(b.0, b.1))
}

#[test]
fn the_same_is_one() {
    assert_eq!(likeness(("Disk full on web-01", ""), ("Disk full on web-02", "")), 1.0);
}
