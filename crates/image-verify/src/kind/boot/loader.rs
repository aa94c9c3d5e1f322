//! Entries of systemd-boot. UAPI Group, Boot Loader Specification.

/// Lines of a key and a value.
pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let (key, value) = line.split_once(|c: char| c.is_ascii_whitespace())?;
        Some((key, value.trim()))
    })
}

/// The name of an entry without its counter: `a+3-1.conf` is `a.conf`. Boot Loader Specification,
/// Boot counting.
pub(crate) fn uncounted(name: &str) -> String {
    let Some((stem, end)) = name.rsplit_once('.') else { return name.to_owned() };
    let Some((base, counter)) = stem.rsplit_once('+') else { return name.to_owned() };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if counter.splitn(2, '-').all(is_number) { format!("{base}.{end}") } else { name.to_owned() }
}

/// True if a name fits a pattern with `*` and `?`. Takes no more steps than the product of the
/// lengths.
pub(crate) fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut from) = (0, 0);
    // Where the last star is, and how much of the name it has taken.
    let mut star = None;
    while from < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(c) if *c == b'?' || *c == name[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((back, taken)) = star else { return false };
                star = Some((back, taken + 1));
                (at, from) = (back + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit() {
        for (pattern, name, fits) in [
            ("nixos-*", "nixos-1.conf", true),
            ("nixos-*.conf", "nixos-1.conf", true),
            ("*", "", true),
            ("a?c*", "abcd", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("a", "ab", false),
            ("ab", "a", false),
        ] {
            assert_eq!(glob(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn counters_are_no_names() {
        for (name, want) in [
            ("nixos-1+3.conf", "nixos-1.conf"),
            ("nixos-1+2-1.efi", "nixos-1.efi"),
            ("nixos-1.conf", "nixos-1.conf"),
            ("a+b.conf", "a+b.conf"),
            ("a+1-.conf", "a+1-.conf"),
        ] {
            assert_eq!(uncounted(name), want);
        }
    }

    #[test]
    fn entries_are_pairs() {
        let found: Vec<_> = pairs("# linux /no\ntitle  A B\nlinux\t/x\nbad\n").collect();
        assert_eq!(found, [("title", "A B"), ("linux", "/x")]);
    }
}
