//! Pages in a real browser: headless Chromium, with axe-core.

use std::{
    fs,
    path::{Path, PathBuf},
};

use image_host::tool::Tool;
use serde::Deserialize;

use super::Sample;

/// A page in a window of one size, by day or by night.
#[derive(Debug, Deserialize)]
struct Seen {
    page: String,
    window: String,
    scheme: String,
    /// What the console says.
    messages: Vec<String>,
    /// Addresses that the browser asked for.
    asked: Vec<String>,
    /// Where the page scrolls sideways: as it is loaded, and with everything opened.
    wide: Vec<serde_json::Value>,
    /// What axe-core finds.
    violations: Vec<serde_json::Value>,
    /// How many of its rules held; absent where it did not look.
    passes: Option<usize>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Phone and desktop, day and night: nothing on the console, nothing asked for, nothing that
/// scrolls sideways, and nothing that axe-core finds. `target/pages` has the pages and pictures of
/// them.
#[test]
fn people_can_read_it() {
    let folder = root().join("target/pages");
    let axe = root().join("target/release-parts/axe/axe.min.js");
    assert!(axe.exists(), "{} is not there: tests/setup.sh fetches it", axe.display());
    let python = Tool::find("python3").expect("tests/setup.sh installs python3");
    Tool::find("chromium").expect("tests/setup.sh installs chromium");
    fs::create_dir_all(&folder).unwrap();
    let mut pages = Vec::new();
    let long = "a-very-long-name-without-any-place-to-break".repeat(5);
    let samples = [("release", super::real::release()), ("long", Sample::of(&long))];
    for (name, sample) in samples {
        // The page, and the report of the card.
        let shown =
            sample.pages().into_iter().enumerate().filter(|(index, _)| [0, 2].contains(index));
        for (index, document) in shown {
            let path = folder.join(format!("{name}-{index}.html"));
            fs::write(&path, document.bytes).unwrap();
            pages.push(path);
        }
    }
    let args = [root().join("tests/tools/browse.py"), axe, folder].into_iter().chain(pages.clone());
    let told = python.run(args).output().unwrap_or_else(|error| {
        panic!("{error}: {:?}", error.cause);
    });
    let seen: Vec<Seen> = serde_json::from_slice(&told).unwrap();
    assert_eq!(seen.len(), pages.len() * 4);
    assert_eq!(seen.iter().filter(|one| one.passes.is_some()).count(), pages.len() * 2);
    for one in &seen {
        let Seen { page, window, scheme, messages, asked, wide, violations, passes } = one;
        let place = format!("{page}, {window}, {scheme}");
        assert!(messages.is_empty(), "{place}: {messages:?}");
        let only_itself = |url: &String| url.ends_with(page.as_str()) || url.starts_with("data:");
        assert!(asked.iter().all(only_itself), "{place}: {asked:?}");
        assert!(wide.is_empty(), "{place}: {wide:#?}");
        assert!(violations.is_empty(), "{place}: {violations:#?}");
        assert!(passes.is_none_or(|passes| passes > 20), "{place}: {passes:?}");
    }
}
