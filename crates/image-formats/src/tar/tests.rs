use super::*;

/// A header with a valid checksum.
fn header(typeflag: u8, name: &[u8], size: u64) -> Header {
    let mut header: Header = zerocopy::FromZeros::new_zeroed();
    header.name[..name.len()].copy_from_slice(name);
    header.mode = *b"0000644\0";
    header.size.copy_from_slice(format!("{size:011o}\0").as_bytes());
    header.typeflag = typeflag;
    header.magic = Header::MAGIC_USTAR;
    header.version = *b"00";
    seal(header)
}

fn seal(mut header: Header) -> Header {
    let [sum, _] = checksums(&header);
    header.chksum.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// A member with content, padded.
fn member(typeflag: u8, name: &[u8], content: &[u8]) -> Vec<u8> {
    let mut bytes = header(typeflag, name, content.len() as u64).as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn items(stream: &[u8]) -> Vec<Item> {
    let mut reader = Reader::new(stream);
    std::iter::from_fn(|| reader.next_item().unwrap()).collect()
}

fn members(stream: &[u8]) -> Vec<Member> {
    let only = |item| if let Item::Member(member) = item { Some(*member) } else { None };
    items(stream).into_iter().filter_map(only).collect()
}

fn anomalies(stream: &[u8]) -> Vec<Anomaly> {
    let only = |item| if let Item::Anomaly(anomaly) = item { Some(anomaly) } else { None };
    items(stream).into_iter().filter_map(only).collect()
}

fn end(stream: &[u8]) -> End {
    match items(stream).pop() {
        Some(Item::End(end)) => end,
        other => panic!("{other:?} is no end"),
    }
}

#[test]
fn long_names_of_both_dialects_are_applied() {
    let long = vec![b'n'; 300];
    let record = format!("{} path={}\n", 300 + 10, "n".repeat(300));
    for extended in [member(b'L', b"././@LongLink", &[&long[..], b"\0"].concat()), {
        member(b'x', b"PaxHeaders/n", record.as_bytes())
    }] {
        let stream = [extended, member(b'0', b"short", b"content"), vec![0; 1024]].concat();
        let [member] = &members(&stream)[..] else { panic!("one member") };
        assert_eq!(member.path, long);
        assert_eq!(member.offset, ByteOffset(0));
        assert_eq!(member.header_offset, ByteOffset(1024));
        assert_eq!(member.size, 7);
    }
}

#[test]
fn the_content_is_read_through_the_reader() {
    let stream = [member(b'0', b"a", b"first"), member(b'0', b"b", b""), vec![0; 1024]].concat();
    let mut reader = Reader::new(&stream[..]);
    assert!(matches!(reader.next_item().unwrap(), Some(Item::Member(_))));
    let mut content = Vec::new();
    reader.read_to_end(&mut content).unwrap();
    assert_eq!(content, b"first");
    assert!(matches!(reader.next_item().unwrap(), Some(Item::Member(m)) if m.path == b"b"));
    let Some(Item::End(end)) = reader.next_item().unwrap() else { panic!("an end") };
    assert_eq!((end.zero_blocks, end.len), (2, 512 * 5));
    assert!(reader.next_item().unwrap().is_none());
}

#[test]
fn a_damaged_header_costs_only_its_member() {
    let mut stream = [
        member(b'0', b"a", b"first"),
        member(b'0', b"b", b"second"),
        member(b'0', b"c", b"third"),
        vec![0; 1024],
    ]
    .concat();
    stream[1024 + 3] ^= 0x20;
    let paths: Vec<_> = members(&stream).into_iter().map(|m| m.path).collect();
    assert_eq!(paths, [b"a", b"c"]);
    let [anomaly] = anomalies(&stream)[..] else { panic!("one anomaly") };
    assert_eq!((anomaly.offset, anomaly.len), (ByteOffset(1024), 1024));
    assert!(matches!(anomaly.kind, AnomalyKind::Checksum { .. }));
    // Where no header follows, the last zero blocks are still an end.
    stream[2048 + 3] ^= 0x20;
    assert_eq!(end(&stream).zero_blocks, 2);
    assert_eq!(end(&stream).offset, ByteOffset(3072));
}

#[test]
fn ends_are_told_apart() {
    let one = member(b'0', b"a", b"first");
    let with = |tail: &[u8]| end(&[&one[..], tail].concat());
    assert_eq!(with(&[]).zero_blocks, 0);
    assert_eq!(with(&[0; 512]).zero_blocks, 1);
    assert_eq!(with(&[0; 10240]).zero_blocks, 20);
    let after = with(&[&[0; 512][..], &one].concat());
    assert_eq!((after.zero_blocks, after.garbage), (1, Some(ByteOffset(1536))));
    assert_eq!(with(&one[..700]).truncated.unwrap().missing, 324);
    assert_eq!(with(&one[..100]).truncated.unwrap().what, TruncatedPart::Header);
    let lone = header(b'x', b"x", 0);
    assert_eq!(with(lone.as_bytes()).dangling, Some(ByteOffset(1024)));
    assert_eq!(end(&[]).len, 0);
}

#[test]
fn what_has_no_content_has_none() {
    let link = header(b'2', b"link", 4096);
    let stream = [link.as_bytes(), &member(b'0', b"b", b""), &[0; 1024]].concat();
    let found = members(&stream);
    assert_eq!((found[0].size, found[0].stored_size), (0, 4096));
    assert_eq!(found[1].path, b"b");
}

#[test]
fn extended_headers_do_not_cost_memory() {
    let long = header(b'x', b"x", 7 << 30);
    assert!(matches!(
        anomalies(long.as_bytes())[0].kind,
        AnomalyKind::ExtendedTooLong { size } if size == 7 << 30
    ));
    let stream = [member(b'L', b"", b"a"), member(b'L', b"", b"b"), member(b'0', b"c", b"")];
    let stream = stream.concat();
    assert_eq!(members(&stream)[0].path, b"b");
    assert_eq!(anomalies(&stream)[0].kind, AnomalyKind::ExtendedRepeated { typeflag: b'L' });
}

#[test]
fn a_size_beyond_all_is_an_anomaly() {
    let mut big = header(b'0', b"big", 0);
    big.size = [0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(end(seal(big).as_bytes()).truncated.unwrap().missing, 1 << 63);
    big.size = [0xff; 12];
    let stream = [seal(big).as_bytes(), &member(b'0', b"b", b"")].concat();
    assert_eq!(anomalies(&stream)[0].kind, AnomalyKind::Size);
    assert_eq!(members(&stream)[0].path, b"b");
}
