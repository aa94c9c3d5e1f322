//! Which archives are images themselves, by the names of their first members.

use image_formats::tar::{Item, Kind, Member, Reader};

use super::RawFormat;
use crate::names::{components, plain};

/// What the archive is that starts with these bytes.
///
/// An appliance starts with its descriptor, or where it is broken with what else may be in it. An
/// archive for `docker load` starts with a layer or a configuration, which both are named by a
/// digest, or with one of the files that always have the same name. All others are the files of a
/// system.
pub(super) fn format(head: &[u8]) -> RawFormat {
    let mut reader = Reader::new(head);
    // Memory has no errors.
    while let Ok(Some(item)) = reader.next_item() {
        let Item::Member(member) = item else { continue };
        let path = plain(&member.path);
        // The folder that all of it was in when it was packed.
        if path.is_empty() && member.kind == Kind::Directory {
            continue;
        }
        return of_first(&member, &path);
    }
    RawFormat::Tar
}

fn of_first(member: &Member, path: &[u8]) -> RawFormat {
    let first = components(path).next().unwrap_or_default();
    let is_alone = first.len() == path.len();
    let ends = |ending: &[u8]| {
        first.len().checked_sub(ending.len()).is_some_and(|at| {
            let (name, end) = first.split_at(at);
            !name.is_empty() && end.eq_ignore_ascii_case(ending)
        })
    };
    let of_appliance = [&b".ovf"[..], b".mf", b".cert", b".vmdk"];
    if is_alone && member.kind == Kind::File && of_appliance.iter().any(|end| ends(end)) {
        return RawFormat::Ova;
    }
    let known = [&b"blobs"[..], b"oci-layout", b"manifest.json", b"repositories"];
    if known.contains(&first) || is_named_by_digest(first) {
        return RawFormat::Docker;
    }
    RawFormat::Tar
}

/// True for the name of a layer, its folder, or a configuration: a SHA-256, and maybe what it is.
fn is_named_by_digest(name: &[u8]) -> bool {
    const DIGITS: usize = 64;
    let name = name.strip_prefix(b"sha256:").unwrap_or(name);
    let Some((digest, end)) = name.split_at_checked(DIGITS) else { return false };
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    digest.iter().all(is_digit) && matches!(end, b"" | b".json" | b".tar" | b".tar.gz")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(names: &[&str]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for name in names {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(match name.ends_with('/') {
                true => tar::EntryType::Directory,
                false => tar::EntryType::Regular,
            });
            header.set_size(0);
            builder.append_data(&mut header, name, &b""[..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn archives_are_told_by_their_first_names() {
        let digest = "0123456789abcdef".repeat(4);
        let of = |names: &[&str]| format(&archive(names));
        for name in ["nixos.ovf", "./NixOS.OVF", "nixos.mf", "nixos-disk001.vmdk"] {
            assert_eq!(of(&[name]), RawFormat::Ova, "{name}");
        }
        for name in [
            "blobs/",
            "oci-layout",
            "manifest.json",
            &format!("{digest}/layer.tar"),
            &format!("{digest}/"),
            &format!("{digest}.json"),
            &format!("{digest}.tar"),
            &format!("sha256:{digest}"),
        ] {
            assert_eq!(of(&["./", name]), RawFormat::Docker, "{name}");
        }
        for name in ["bin/", "etc/x.ovf", ".ovf", "x.ovf/", "blob/", &digest[1..], "index.json"] {
            assert_eq!(of(&["./", name]), RawFormat::Tar, "{name}");
        }
        assert_eq!(of(&[]), RawFormat::Tar);
        // Only the first one counts: a system may have anything below.
        assert_eq!(of(&["etc/", "manifest.json"]), RawFormat::Tar);
    }
}
