use super::*;

fn check(source: &str, want: &[(Option<usize>, &str)]) {
    let faults = compile(source).err().unwrap_or_default();
    assert_eq!(faults.len(), want.len(), "{source}: {faults:?}");
    for (fault, (place, part)) in faults.iter().zip(want) {
        assert_eq!(fault.place, *place, "{source}: {fault:?}");
        assert!(fault.what.contains(part), "{source}: {fault:?}");
    }
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    check("item.name", &[]);
    check("item['a b'].c[0] | default('x | y') | upper", &[]);
    check("'*' ~ item.a", &[]);
    check("item.is", &[]);
    check("item.a is not defined", &[]);
    check("item.a if item.b is string else body.c", &[]);
    check("name", &[(Some(1), "write `item.name`")]);
    check("item.a ~ nme ~ oth", &[(Some(10), "`nme`"), (Some(16), "`oth`")]);
    check("é.a", &[(Some(1), "unexpected character")]);
    check("'é' ~ x", &[(Some(7), "`x`")]);
    check("range(10)", &[(Some(1), "`range`")]);
    check("item.a | shout | uper", &[(Some(10), "there are upper"), (Some(18), "did you mean `upper`?")]);
    check("item.a is deffined", &[(Some(11), "did you mean `defined`?")]);
    check("2 * item.a", &[(Some(3), "`*`")]);
    check("2 ** 9", &[(Some(3), "`*`")]);
    check("{% if item %}", &[(None, "braces of a template")]);
    check("", &[(Some(1), "an expression looks like")]);
}

#[test]
fn every_filter_and_test_of_the_language_is_one_that_the_list_knows() {
    let known = |word: &str| compile(&format!("item.a | {word}")).is_ok();
    assert!(FILTERS.iter().all(|f| known(f)));
    for growing in ["tojson", "pprint", "format", "indent", "batch", "sort", "groupby", "dictsort", "unique", "zip"] {
        assert!(!known(growing), "{growing}");
    }
    assert!(TESTS.iter().all(|t| compile(&format!("item.a is {t}")).is_ok()));
}

#[test]
fn nobody_writes_so_deeply() {
    for (deep, fine) in [
        ("(".repeat(33) + "1" + &")".repeat(33), "(".repeat(32) + "1" + &")".repeat(32)),
        ("not ".repeat(140) + "item.a", "not ".repeat(20) + "item.a"),
    ] {
        let faults = compile(&deep).err().unwrap_or_default();
        assert!(faults.iter().any(|f| f.what.contains("too deeply")), "{deep}: {faults:?}");
        assert!(compile(&fine).is_ok(), "{fine}");
    }
}
