use std::os::unix::fs::symlink;

use super::*;

const OUT: &str = "/nix/store/abc-image";

/// A listing of files below the output, each a file of its own.
fn listing(files: &[&str], products: &[&str]) -> Listing {
    let at = |path: &&str| (path.to_string(), Path::new(OUT).join(path));
    Listing {
        itself: None,
        files: files.iter().map(at).collect(),
        products: products.iter().map(|path| Path::new(OUT).join(path)).collect(),
    }
}

fn chosen(listing: &Listing, promised: Option<&str>) -> Result<String, NoImage> {
    choose(OUT, listing, promised, None).map(|path| {
        let below = path.strip_prefix(OUT).unwrap();
        below.to_str().unwrap().to_owned()
    })
}

#[test]
fn the_promised_path_comes_first() {
    let listing = listing(&["sd-image/a.img.zst", "b.img"], &["b.img"]);
    assert_eq!(chosen(&listing, Some("sd-image/a.img.zst")).unwrap(), "sd-image/a.img.zst");
    assert_eq!(chosen(&listing, None).unwrap(), "b.img");
    // `amazonImage.format = "raw"`: the promise says `raw`, the file is called `img`.
    assert_eq!(chosen(&listing, Some("b.raw")).unwrap(), "b.img");
    for outside in ["", "..", "../other/b.img", "/etc/passwd"] {
        assert_eq!(chosen(&listing, Some(outside)).unwrap(), "b.img", "{outside}");
    }
}

/// `vagrant-virtualbox`: the promise is a file below the output, and the output is the file.
#[test]
fn an_output_that_is_a_file_is_the_image() {
    let listing = Listing { itself: Some(OUT.into()), ..Listing::default() };
    let found = choose(OUT, &listing, Some("a.a.box"), None).unwrap();
    assert_eq!(found, Path::new(OUT));
}

/// What was deleted after it was listed is not in `products`; the last of the others is the image.
#[test]
fn the_last_product_that_exists_is_the_image() {
    let listing = listing(&["a.img", "a.ova"], &["a.img", "a.ova"]);
    assert_eq!(chosen(&listing, None).unwrap(), "a.ova");
}

#[test]
fn known_folders_are_looked_into() {
    for image in [
        "sd-image/a.img",
        "sd-image/a.img.zst",
        "iso/a.iso",
        "tarball/nixos-system-x86_64-linux.tar.xz",
        "nixos.qcow2",
        "a.qcow2.gz",
        "a.raw.tar.gz",
        "a.vhd",
        "a.VHDX",
        "vzdump-qemu-a.vma.zst",
    ] {
        let listing = listing(&["lib/b.img", "a.img.sha256", "README", image, "a.json"], &[]);
        assert_eq!(chosen(&listing, None).unwrap(), image);
    }
}

#[test]
fn several_candidates_are_listed_and_none_is_taken() {
    let both = listing(&["sd-image/b.img", "sd-image/a.img.zst"], &[]);
    assert_eq!(
        chosen(&both, None).unwrap_err().to_string(),
        "several files in /nix/store/abc-image may be the image: sd-image/a.img.zst, sd-image/b.img"
    );
    // A program that took the first of them does not make it less of a guess.
    let named = Path::new(OUT).join("sd-image/b.img");
    assert!(choose(OUT, &both, None, Some(&named)).is_err());

    let mut twice = listing(&["sd-image/a.img"], &[]);
    twice.files.insert("a.img".to_owned(), Path::new(OUT).join("sd-image/a.img"));
    assert_eq!(chosen(&twice, None).unwrap(), "sd-image/a.img");
}

#[test]
fn where_there_is_no_image_it_is_said_what_there_is() {
    let text = |files: &[&str]| chosen(&listing(files, &[]), None).unwrap_err().to_string();
    let start = "no file in /nix/store/abc-image is known to be an image; there";
    assert_eq!(text(&[]), format!("{start} is nothing"));
    assert_eq!(text(&["bin/run-nixos-vm"]), format!("{start} is bin/run-nixos-vm"));
    assert_eq!(text(&["kernel", "initrd"]), format!("{start} are initrd, kernel"));
    let many: Vec<_> = (0..30).map(|i| format!("file-{i}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    assert!(text(&many).ends_with(", …"));

    // What a program named is taken where nothing else says what the image is.
    let odd = listing(&["image.custom"], &[]);
    let named = Path::new(OUT).join("image.custom");
    assert_eq!(choose(OUT, &odd, None, Some(&named)), Ok(named));
    assert!(choose(OUT, &odd, None, Some(Path::new("/etc/passwd"))).is_err());
}

#[test]
fn products_are_lines_of_type_file() {
    let text = "file sd-image /nix/store/a/x.img\n\
                doc manual /nix/store/a/doc\n\
                file  iso\t\"/nix/store/a/with space.iso\" sub\n\
                file system-tarball /nix/store/a/y.tar.xz index.html\n\
                file\nfile x\nfiles x /nix/store/b\n\n";
    let expected = ["/nix/store/a/x.img", "/nix/store/a/with space.iso", "/nix/store/a/y.tar.xz"];
    assert_eq!(product_paths(text).collect::<Vec<_>>(), expected);
}

/// A store in a folder, with its paths below `/nix/store`.
struct Rig {
    dir: tempfile::TempDir,
    store: Store,
}

impl Rig {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let physical = dir.path().join("nix/store");
        fs::create_dir_all(&physical).unwrap();
        let store = Store { logical: "/nix/store".into(), physical };
        Self { dir, store }
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, target: &str, path: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    fn list(&self) -> Listing {
        self.store.list(OUT).unwrap()
    }
}

#[test]
fn a_store_below_another_root_is_listed() {
    let rig = Rig::new();
    rig.file("nix/store/abc-image/sd-image/a.img", "image");
    rig.file(
        "nix/store/abc-image/nix-support/hydra-build-products",
        "file raw-image /nix/store/abc-image/deleted.img\n\
         file sd-image /nix/store/abc-image/sd-image/a.img\n\
         file passwd /etc/passwd\n",
    );
    let listing = rig.list();
    assert_eq!(listing.products, [Path::new("/nix/store/abc-image/sd-image/a.img")]);
    assert_eq!(listing.files.keys().collect::<Vec<_>>(), ["sd-image/a.img"]);
    let image = choose(OUT, &listing, None, None).unwrap();
    assert_eq!(fs::read_to_string(rig.store.physical(&image)).unwrap(), "image");
}

#[test]
fn links_are_followed_inside_the_store_only() {
    let rig = Rig::new();
    rig.file("nix/store/def-other/sd-image/a.img", "image");
    // As all-formats.nix of nixos-generators links to what it found.
    rig.link("/nix/store/def-other/sd-image/a.img", "nix/store/abc-image/a.img");
    rig.link("../def-other/sd-image", "nix/store/abc-image/iso");
    rig.link("/etc/passwd", "nix/store/abc-image/b.img");
    rig.link("../../../etc/passwd", "nix/store/abc-image/c.img");
    rig.link("d.img", "nix/store/abc-image/e.img");
    rig.link("e.img", "nix/store/abc-image/d.img");
    rig.link("nowhere", "nix/store/abc-image/f.img");
    rig.link(".", "nix/store/abc-image/here");
    let listing = rig.list();
    let real = Path::new("/nix/store/def-other/sd-image/a.img");
    assert!(listing.files.values().all(|file| file == real), "{listing:?}");
    assert!(listing.files.contains_key("a.img") && listing.files.contains_key("iso/a.img"));
    assert_eq!(choose(OUT, &listing, None, None).unwrap(), real);
}

#[test]
fn an_output_may_be_a_file_or_a_link_to_one() {
    let rig = Rig::new();
    rig.file("nix/store/abc-image", "image");
    assert_eq!(rig.list().itself.as_deref(), Some(Path::new(OUT)));

    let rig = Rig::new();
    rig.file("nix/store/def-other", "image");
    rig.link("/nix/store/def-other", "nix/store/abc-image");
    let image = choose(OUT, &rig.list(), None, None).unwrap();
    assert_eq!(fs::read_to_string(rig.store.physical(&image)).unwrap(), "image");
}

#[test]
fn deep_and_wide_outputs_end_at_the_limits() {
    let rig = Rig::new();
    rig.file("nix/store/abc-image/1/2/3/4/5/6/a.img", "");
    for i in 0..1100 {
        rig.file(&format!("nix/store/abc-image/many/{i}"), "");
    }
    let listing = rig.list();
    assert_eq!(listing.files.len(), MAX_FILES);
    assert!(!listing.files.keys().any(|path| path.ends_with("a.img")));
}
