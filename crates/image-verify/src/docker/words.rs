//! Words with a grammar of their own: names of images, digests, and dates.

/// True for a name with a tag, as `docker load` takes it: `nixos:latest`,
/// `registry.example:5000/team/nixos:26.05`.
pub(crate) fn is_tagged(reference: &str) -> bool {
    let Some((name, tag)) = reference.rsplit_once(':') else { return false };
    is_tag(tag) && is_name(name)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = tag.bytes().next().is_some_and(is_word);
    first && tag.len() <= 128 && tag.bytes().all(|byte| is_word(byte) || b"-.".contains(&byte))
}

fn is_name(name: &str) -> bool {
    const MOST: usize = 255;
    let (domain, path) = match name.split_once('/') {
        // As Docker tells a registry from the first part of a path.
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.bytes().any(|byte| byte.is_ascii_uppercase()) =>
        {
            (Some(first), rest)
        }
        _ => (None, name),
    };
    // Sixty-four digits are the identity of an image, and no name.
    let is_identity = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    domain.is_none_or(is_domain)
        && name.len() <= MOST
        && !is_identity
        && path.split('/').all(is_path_part)
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(']') || !port.contains(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_label = |label: &str| {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(is_word)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_label),
    };
    is_host && port.is_none_or(is_port)
}

/// Small letters and digits, with separators between them: a dot, one or two underscores, or dashes.
fn is_path_part(part: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let mut separator = String::new();
    let mut last_is_letter = false;
    for c in part.chars() {
        if is_letter(c) {
            let good = matches!(separator.as_str(), "" | "." | "_" | "__")
                || separator.bytes().all(|byte| byte == b'-');
            if !good {
                return false;
            }
            separator.clear();
            last_is_letter = true;
        } else if last_is_letter && ".-_".contains(c) {
            separator.push(c);
        } else {
            return false;
        }
    }
    last_is_letter && separator.is_empty()
}

/// The digest in `sha256:…`.
pub(crate) fn digest(text: &str) -> Option<[u8; 32]> {
    from_hex(text.strip_prefix("sha256:")?)
}

/// The digest in the name of a member: `blobs/sha256/…`, `….json`, `sha256:…`; `None` where it is
/// named by something else.
pub(crate) fn digest_of_name(path: &str) -> Option<[u8; 32]> {
    let name = path.rsplit('/').next()?;
    let name = name.strip_prefix("sha256:").unwrap_or(name);
    from_hex(name.split('.').next()?)
}

fn from_hex(hex: &str) -> Option<[u8; 32]> {
    let lower = hex.bytes().all(|byte| !byte.is_ascii_uppercase());
    let bytes = image_formats::ovf::manifest::from_hex(hex).filter(|_| lower)?;
    bytes.try_into().ok()
}

/// True for a date and time of RFC 3339, as Go reads it.
pub(crate) fn is_date(text: &str) -> bool {
    parse_date(text).is_some()
}

fn parse_date(text: &str) -> Option<()> {
    let (date, time) = text.split_once('T')?;
    let number = |text: &str, len: usize, most: u32| {
        let digits = text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u32>().ok().filter(|number| digits && *number <= most)
    };
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4, 9999)?;
    let month = number(parts.next()?, 2, 12).filter(|month| *month > 0)?;
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    number(parts.next()?, 2, days).filter(|day| *day > 0)?;
    if parts.next().is_some() {
        return None;
    }
    let zone = time.find(['Z', '+', '-'])?;
    let (time, zone) = time.split_at_checked(zone)?;
    let (time, fraction) = match time.split_once('.') {
        Some((time, fraction)) => (time, Some(fraction)),
        None => (time, None),
    };
    if fraction.is_some_and(|digits| {
        digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit())
    }) {
        return None;
    }
    let mut parts = time.split(':');
    number(parts.next()?, 2, 23)?;
    number(parts.next()?, 2, 59)?;
    number(parts.next()?, 2, 59)?;
    if parts.next().is_some() {
        return None;
    }
    if zone == "Z" {
        return Some(());
    }
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    number(hours, 2, 23)?;
    number(minutes, 2, 59)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_tags() {
        for name in [
            "nixos:latest",
            "a/b/c:26.05",
            "localhost/x:1",
            "registry.example:5000/team/nixos-base:v1.2_3",
            "[::1]:5000/x:1",
            "a__b/c--d.e:T",
            "UPPER/x:1",
        ] {
            assert!(is_tagged(name), "{name}");
        }
        let long = format!("{}:x", "a".repeat(256));
        let identity = format!("{}:x", "0".repeat(64));
        for name in [
            "",
            "nixos",
            "nixos:",
            ":latest",
            "Nixos:latest",
            "a//b:x",
            "a/:x",
            "-a:x",
            "a-:x",
            "a..b:x",
            "a___b:x",
            "nixos:a/b",
            "nixos:-x",
            "host:port/x:1",
            "nixos@sha256:00",
            "nixos :x",
            &long,
            &identity,
        ] {
            assert!(!is_tagged(name), "{name}");
        }
        assert!(is_tagged(&format!("x:{}", "t".repeat(128))));
        assert!(!is_tagged(&format!("x:{}", "t".repeat(129))));
    }

    #[test]
    fn dates_are_those_of_rfc_3339() {
        for date in [
            "1970-01-01T00:00:01Z",
            "1970-01-01T00:00:01+00:00",
            "0001-01-01T00:00:00Z",
            "2024-02-29T23:59:59.123456789-12:30",
        ] {
            assert!(is_date(date), "{date}");
        }
        for date in [
            "",
            "now",
            "1970-01-01",
            "1970-01-01 00:00:01Z",
            "1970-01-01T00:00:01",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-1-01T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01T00:00:60Z",
            "2023-01-01T00:00:00.Z",
            "2023-01-01T00:00:00+1",
            "2023-01-01T00:00:00Zx",
        ] {
            assert!(!is_date(date), "{date}");
        }
    }

    #[test]
    fn digests_are_found_in_names() {
        let hex = "0f".repeat(32);
        let bytes = Some([0x0f; 32]);
        assert_eq!(digest(&format!("sha256:{hex}")), bytes);
        for name in [format!("{hex}.json"), format!("blobs/sha256/{hex}"), format!("sha256:{hex}")]
        {
            assert_eq!(digest_of_name(&name), bytes, "{name}");
        }
        for name in ["config.json", "", &hex.to_uppercase(), &hex[1..]] {
            assert_eq!(digest_of_name(name), None, "{name}");
        }
    }
}
