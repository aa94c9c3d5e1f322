//! A small store, described in memory, in a tar archive.

use std::collections::BTreeMap;

use crate::{
    database,
    registration::{HASH, Node, digest, fill},
};

/// A member.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) kind: tar::EntryType,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) mtime: u64,
    pub(crate) content: Vec<u8>,
    pub(crate) link: String,
}

/// An image.
#[derive(Clone)]
pub(crate) struct Draft {
    /// By path.
    pub(crate) members: BTreeMap<String, Member>,
    /// What each store path refers to.
    pub(crate) references: BTreeMap<String, Vec<String>>,
    /// The list as it is, where it is no longer to be made of the above.
    pub(crate) list: Option<String>,
    has_list: bool,
    /// What changes the database after it is made like the list; `None`: there is none.
    pub(crate) database: Option<&'static str>,
}

/// A path of the store by the name that people call it: its hash has this digit in it.
pub(crate) fn path(name: &str) -> String {
    let digit = match name {
        "app" => '1',
        "lib" => '2',
        "data" => '3',
        "system" => '4',
        "link" => '5',
        _ => '9',
    };
    format!("/nix/store/{}xyzabcdf0123456789-{name}", digit.to_string().repeat(14))
}

const LIST: &str = "/nix-path-registration";
const DATABASE: &str = "/nix/var/nix/db/db.sqlite";

impl Draft {
    fn put(&mut self, path: &str, kind: tar::EntryType, mode: u32) -> &mut Member {
        for (at, _) in path.match_indices('/').filter(|(at, _)| *at > 0) {
            let folder = &path[..at];
            if !self.members.contains_key(folder) {
                let is_inside = folder.starts_with("/nix/store/");
                self.put(folder, tar::EntryType::Directory, if is_inside { 0o555 } else { 0o755 });
            }
        }
        let (content, link) = (Vec::new(), String::new());
        let member = Member { kind, mode, uid: 0, mtime: 1, content, link };
        self.members.insert(path.to_owned(), member);
        self.members.get_mut(path).unwrap()
    }

    pub(crate) fn file(&mut self, path: &str, content: impl AsRef<[u8]>) {
        self.put(path, tar::EntryType::Regular, 0o444).content = content.as_ref().to_vec();
    }

    pub(crate) fn program(&mut self, path: &str, content: impl AsRef<[u8]>) {
        self.put(path, tar::EntryType::Regular, 0o555).content = content.as_ref().to_vec();
    }

    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.put(path, tar::EntryType::Symlink, 0o777).link = target.to_owned();
    }

    /// A file as Nix's optimizer leaves it: another name of one in a folder that is no store path.
    pub(crate) fn pooled(&mut self, name: &str, inner: &str) {
        let content = self.content(name, inner).clone();
        self.file("/nix/store/.links/1abc", content);
        let member = self.member(name, inner);
        (member.kind, member.link) = (tar::EntryType::Link, "nix/store/.links/1abc".to_owned());
    }

    /// A fifo in a store path.
    pub(crate) fn fifo(&mut self, name: &str, inner: &str) {
        self.put(&(path(name) + inner), tar::EntryType::Fifo, 0o444);
    }

    /// A member of a store path.
    pub(crate) fn member(&mut self, name: &str, inner: &str) -> &mut Member {
        let path = path(name) + inner;
        self.members.get_mut(&path).unwrap_or_else(|| panic!("{path}"))
    }

    /// The content of a file of a store path.
    pub(crate) fn content(&mut self, name: &str, inner: &str) -> &mut Vec<u8> {
        &mut self.member(name, inner).content
    }

    /// Removes what is at this place of a store path, and below it.
    pub(crate) fn remove(&mut self, name: &str, inner: &str) {
        let path = path(name) + inner;
        let before = self.members.len();
        self.members.retain(|other, _| *other != path && !other.starts_with(&(path.clone() + "/")));
        assert!(self.members.len() < before, "{path}");
    }

    /// What Nix knew before the image was damaged.
    pub(crate) fn register(&mut self) {
        self.list = Some(self.listed());
    }

    /// Takes a path out of the list that there is.
    pub(crate) fn unregister(&mut self, name: &str) {
        self.references.remove(&path(name)).unwrap();
        self.references.values_mut().for_each(|others| others.retain(|other| *other != path(name)));
        self.list = None;
    }

    /// There is no list.
    pub(crate) fn without_list(&mut self) {
        self.has_list = false;
    }

    /// The files in which Nix registered the store.
    pub(crate) fn registrations(&self) -> Vec<String> {
        let list = self.has_list.then_some(LIST);
        let database = self.database.map(|_| DATABASE);
        list.into_iter().chain(database).map(str::to_owned).collect()
    }

    fn nodes(&self) -> BTreeMap<String, Node<'_>> {
        let node = |member: &'_ Member| match member.kind {
            tar::EntryType::Directory => Some(Node::Directory),
            tar::EntryType::Symlink => None,
            _ => None,
        };
        let nodes = self.members.iter().filter_map(|(path, member)| {
            let node = node(member).or_else(|| match member.kind {
                tar::EntryType::Symlink => Some(Node::Link(&member.link)),
                tar::EntryType::Regular | tar::EntryType::Link => {
                    let executable = member.mode & 0o100 != 0;
                    Some(Node::File { executable, content: &member.content })
                }
                _ => None,
            })?;
            Some((path.clone(), node))
        });
        nodes.collect()
    }

    /// The hash and the size of a store path as it is.
    pub(crate) fn digest(&self, path: &str) -> (String, u64) {
        digest(path, &self.nodes()).unwrap()
    }

    fn listed(&self) -> String {
        let mut list = String::new();
        for (path, references) in &self.references {
            list += &format!("{path}\n{HASH}\n4096\n\n{}\n", references.len());
            references.iter().for_each(|other| list += &format!("{other}\n"));
        }
        fill(&list, "/nix/store", &self.nodes())
    }

    /// The archive.
    pub(crate) fn archive(&self) -> Vec<u8> {
        let mut draft = self.clone();
        let list = self.list.clone().unwrap_or_else(|| self.listed());
        if let Some(changes) = self.database {
            // One that nobody can read is not in the database.
            let known = if list.contains("sha1:") { self.listed() } else { list.clone() };
            for (name, bytes) in database::files(&known, changes) {
                draft.file(&format!("/nix/var/nix/db/{name}"), bytes);
            }
        }
        if self.has_list {
            draft.file(LIST, list);
        }
        let members = draft.members;
        let mut archive = tar::Builder::new(Vec::new());
        for (path, member) in &members {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(member.kind);
            header.set_mode(member.mode);
            header.set_uid(member.uid);
            header.set_gid(0);
            header.set_mtime(member.mtime);
            let len = if member.link.is_empty() { member.content.len() } else { 0 };
            header.set_size(len as u64);
            let slash = if member.kind.is_dir() { "/" } else { "" };
            let path = format!(".{path}{slash}");
            if member.link.is_empty() {
                archive.append_data(&mut header, path, member.content.as_slice()).unwrap();
            } else {
                archive.append_link(&mut header, path, &member.link).unwrap();
            }
        }
        archive.into_inner().unwrap()
    }
}

/// A 64-bit ELF file that `interpreter` loads and that looks for libraries in `run_path`.
pub(crate) fn elf(interpreter: &str, run_path: &str) -> Vec<u8> {
    let mut strings = b"\0libc.so.6\0".to_vec();
    let path = strings.len() as u64;
    strings.extend(run_path.bytes());
    strings.push(0);
    let entries = [(1, 1), (29, path), (5, 0x1000), (10, strings.len() as u64), (0, 0)].map(
        |(tag, value)| {
            let (tag, value): (u64, u64) = (tag, value);
            [tag.to_le_bytes(), value.to_le_bytes()].concat()
        },
    );
    let parts =
        [(3, [interpreter.as_bytes(), b"\0"].concat()), (1, strings), (2, entries.concat())];
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    bytes[16] = 3;
    bytes[18] = 0x3e;
    bytes[20] = 1;
    bytes[32] = 64;
    bytes[54] = 56;
    bytes[56] = parts.len() as u8;
    let mut at = 64 + 56 * parts.len();
    for (kind, content) in &parts {
        let mut header = vec![0; 56];
        header[0] = *kind;
        header[8..16].copy_from_slice(&(at as u64).to_le_bytes());
        header[16..24].copy_from_slice(&0x1000_u64.to_le_bytes());
        header[32..40].copy_from_slice(&(content.len() as u64).to_le_bytes());
        at += content.len();
        bytes.extend(header);
    }
    parts.iter().for_each(|(_, content)| bytes.extend(content));
    bytes
}

/// A store with a program, a library, some data and a system.
pub(crate) fn good() -> Draft {
    let mut draft = Draft {
        members: BTreeMap::new(),
        references: BTreeMap::new(),
        list: None,
        has_list: true,
        database: Some(""),
    };
    let [app, lib, data, system] = ["app", "lib", "data", "system"].map(path);
    draft.put("/nix/store", tar::EntryType::Directory, 0o1775);
    let (loader, folders) = (format!("{lib}/lib/ld.so"), format!("{lib}/lib:$ORIGIN/../lib"));
    draft.program(&format!("{app}/bin/app"), elf(&loader, &folders));
    draft.file(&format!("{app}/share/names"), format!("{data}/share/text and {app}\n"));
    draft.file(&format!("{app}/share/empty"), "");
    draft.link(&format!("{app}/share/data"), &format!("{data}/share"));
    draft.link(&format!("{app}/share/nowhere"), "of/its/own");
    draft.program(&format!("{lib}/lib/ld.so"), elf("", ""));
    draft.file(&format!("{data}/share/text"), "text\n");
    draft.link(&format!("{system}/sw"), &app);
    draft.file(&format!("{system}/kernel-params"), "quiet");
    draft.link("/nix/var/nix/profiles/system", "system-1-link");
    draft.link("/nix/var/nix/profiles/system-1-link", &system);
    draft.link("/nix/var/nix/gcroots/profiles", "/nix/var/nix/profiles");
    draft.link("/nix/var/nix/gcroots/auto/x", "/home/me/result");
    draft.file("/nix/store/.links/x", "text\n");
    draft.file(&format!("{data}.lock"), "");
    for (path, references) in [
        (&app, vec![&app, &data, &lib]),
        (&lib, vec![]),
        // One that the content does not have.
        (&data, vec![&lib]),
        (&system, vec![&app]),
    ] {
        draft.references.insert(path.clone(), references.into_iter().cloned().collect());
    }
    draft
}
