use std::cmp::Ordering;

use super::run;
use crate::catalog::client::version::compare;

/// Older before newer: UAPI.10, and the comment of the function in systemd.
const RISING: [&[&str]; 3] = [
    &[
        "122.1",
        "123~rc1-1",
        "123",
        "123-a",
        "123-a.1",
        "123-1",
        "123-1.1",
        "123^post1",
        "123.a-1",
        "123.1-1",
        "123a-1",
        "124-1",
    ],
    &["", "1", "1.0", "1.0.1", "1.1", "1.2", "1.10", "1a", "2"],
    &["stable-1", "24.11", "25.05", "25.05.1", "25.11", "26.05-rc1", "26.05.1", "2026.1"],
];

/// Equal, although the text differs.
const EQUAL: [(&str, &str); 4] =
    [("123_a", "123a"), ("00123", "123"), ("1_", "1"), ("1.02", "1.2")];

#[test]
fn versions_rise_as_in_systemd() {
    for rising in RISING {
        for (at, older) in rising.iter().enumerate() {
            for (other, newer) in rising.iter().enumerate() {
                assert_eq!(compare(older, newer), at.cmp(&other), "{older} and {newer}");
            }
        }
    }
    for (left, right) in EQUAL {
        assert_eq!(compare(left, right), Ordering::Equal, "{left} and {right}");
    }
}

/// `systemd-analyze compare-versions` is the same function.
#[test]
fn systemd_orders_versions_the_same() {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for rising in RISING {
        let next = rising.iter().zip(rising.iter().skip(1));
        pairs.extend(next.map(|(a, b)| ((*a).to_owned(), (*b).to_owned())));
    }
    pairs.extend(EQUAL.map(|(a, b)| (a.to_owned(), b.to_owned())));
    // Made up of what makes a difference, the same ones every time.
    let alphabet = b"0019azA.-~^_+,";
    let mut state = 1_u64;
    let mut next = || {
        let mut step = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(state >> 33).unwrap()
        };
        let len = step() % 6;
        (0..len).map(|_| char::from(alphabet[step() % alphabet.len()])).collect::<String>()
    };
    pairs.extend((0..300).map(|_| (next(), next())));
    for (left, right) in pairs {
        // An option would begin with a hyphen.
        let (code, _, errors) =
            run("systemd-analyze", &["compare-versions", "--", &left, &right], &[]);
        let expected = match code {
            Some(0) => Ordering::Equal,
            Some(11) => Ordering::Greater,
            Some(12) => Ordering::Less,
            other => panic!("{left:?} and {right:?}: {other:?} {errors}"),
        };
        assert_eq!(compare(&left, &right), expected, "{left:?} and {right:?}");
    }
}
