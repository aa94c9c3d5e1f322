//! What differs, and what of that was expected: a decision without effects.

use image_model::{Difference, Expectation};
use serde::Serialize;

use super::Reproduction;

/// Whether an image is the same when it is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Byte for byte, and so are the parts that it is made of.
    Reproducible,
    /// What differs is what the definition says.
    DiffersAsExpected,
    /// Something else differs.
    Differs,
}

impl Verdict {
    /// The words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reproducible => "reproducible",
            Self::DiffersAsExpected => "differs as expected",
            Self::Differs => "differs",
        }
    }
}

/// A difference that a definition expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Expected {
    /// What, where, and why.
    #[serde(flatten)]
    pub expectation: Expectation,
    /// How many differences it covers.
    pub count: u64,
}

impl Expected {
    /// True if it covers this difference.
    pub fn covers(&self, difference: &Difference) -> bool {
        let Expectation { difference: id, path, .. } = &self.expectation;
        difference.id == *id
            && path.as_ref().is_none_or(|path| {
                let below =
                    difference.at.path.as_deref().and_then(|at| at.strip_prefix(path.as_str()));
                below.is_some_and(|below| {
                    below.is_empty() || below.starts_with('/') || path.ends_with('/')
                })
            })
    }
}

/// Fills in the verdict, and what it is made of.
pub(super) fn judge(told: &mut Reproduction, expect: &[Expectation]) {
    let mut expected: Vec<_> = expect
        .iter()
        .map(|expectation| Expected { expectation: expectation.clone(), count: 0 })
        .collect();
    let mut unexplained = false;
    for pair in told.pairs.iter().filter(|pair| !pair.same) {
        let Some(comparison) = pair.comparison.as_ref() else {
            // Nobody knows in what.
            unexplained = true;
            continue;
        };
        unexplained |= comparison.counts().is_empty();
        for difference in &comparison.differences {
            match expected.iter_mut().find(|expected| expected.covers(difference)) {
                Some(expected) => expected.count += 1,
                None => *told.unexpected.entry(difference.id.to_string()).or_default() += 1,
            }
        }
        for (id, more) in &comparison.omitted {
            // Where they are is not known.
            let everywhere = |expected: &&mut Expected| {
                expected.expectation.path.is_none() && expected.expectation.difference == *id
            };
            match expected.iter_mut().find(everywhere) {
                Some(expected) => expected.count += more,
                None => *told.unexpected.entry(id.to_string()).or_default() += more,
            }
        }
    }
    (told.expected, told.unused) = expected.into_iter().partition(|expected| expected.count > 0);
    let unexpected = unexplained || !told.unexpected.is_empty();
    told.verdict = match (unexpected, told.pairs.iter().all(|pair| pair.same)) {
        (true, _) => Verdict::Differs,
        (false, false) => Verdict::DiffersAsExpected,
        (false, true) => Verdict::Reproducible,
    };
}

#[cfg(test)]
mod tests {
    use image_model::{COMPARISON_SCHEMA, Compared, Comparison, Compression, Place};

    use super::*;
    use crate::reproduce::Pair;

    fn difference(id: &'static str, path: Option<&str>) -> Difference {
        Difference {
            id: id.into(),
            at: Place { path: path.map(str::to_owned), ..Place::default() },
            a: None,
            b: None,
            sizes: None,
            bytes: None,
        }
    }

    fn expectation(id: &str, path: Option<&str>) -> Expectation {
        let (difference, path) = (id.to_owned(), path.map(str::to_owned));
        Expectation { difference, path, reason: "so it is".to_owned() }
    }

    /// The verdict over one pair with these differences; `None`: nobody knows which.
    fn judged(
        differences: Option<Vec<Difference>>,
        omitted: &[(&'static str, u64)],
        expect: &[Expectation],
    ) -> Reproduction {
        let file = || Compared {
            format: None,
            compression: Compression::None,
            file: None,
            raw_size: None,
        };
        let comparison = differences.map(|differences| Comparison {
            schema: COMPARISON_SCHEMA,
            a: file(),
            b: file(),
            same: false,
            differences,
            omitted: omitted.iter().map(|(id, more)| ((*id).into(), *more)).collect(),
            stores: Vec::new(),
            bytes: None,
            not_compared: Vec::new(),
        });
        let pair = Pair { same: false, comparison, ..Pair::same("x".to_owned(), None) };
        let mut told = Reproduction { pairs: vec![pair], ..Reproduction::of("image") };
        judge(&mut told, expect);
        told
    }

    #[test]
    fn all_that_differs_has_to_be_expected() {
        let both = || vec![difference("ext4-hash-seed", None), difference("fat-serial", None)];
        let (seed, serial) = (expectation("ext4-hash-seed", None), expectation("fat-serial", None));
        let told = judged(Some(both()), &[], &[seed.clone(), serial]);
        assert_eq!(told.verdict, Verdict::DiffersAsExpected);
        assert_eq!((told.expected.len(), told.unused.len()), (2, 0));

        let uuid = expectation("ext4-uuid", None);
        let told = judged(Some(both()), &[], &[seed, uuid.clone()]);
        assert_eq!(told.verdict, Verdict::Differs);
        assert_eq!(told.unexpected, [("fat-serial".to_owned(), 1)].into());
        assert_eq!(told.unused[0].expectation, uuid);
    }

    #[test]
    fn a_path_covers_what_is_below_it() {
        let files = ["/etc/a", "/etc/a/b", "/etc/ab", "/etc"];
        let differences = || files.map(|path| difference("file-content", Some(path))).to_vec();
        let told = judged(Some(differences()), &[], &[expectation("file-content", Some("/etc/a"))]);
        assert_eq!((told.expected[0].count, told.unexpected["file-content"]), (2, 2));
        let told = judged(Some(differences()), &[], &[expectation("file-content", Some("/"))]);
        assert_eq!(told.verdict, Verdict::DiffersAsExpected);
    }

    /// Nobody looked where those are that are not listed.
    #[test]
    fn what_is_not_listed_counts() {
        let one = || Some(vec![difference("file-content", Some("/a"))]);
        let more = [("file-content", 7)];
        let told = judged(one(), &more, &[expectation("file-content", Some("/"))]);
        assert_eq!((told.verdict, told.unexpected["file-content"]), (Verdict::Differs, 7));
        let told = judged(one(), &more, &[expectation("file-content", None)]);
        assert_eq!((told.verdict, told.expected[0].count), (Verdict::DiffersAsExpected, 8));
    }

    #[test]
    fn what_nobody_knows_is_not_expected() {
        let expect = [expectation("bytes", None)];
        assert_eq!(judged(None, &[], &expect).verdict, Verdict::Differs);
        assert_eq!(judged(Some(Vec::new()), &[], &expect).verdict, Verdict::Differs);
    }
}
