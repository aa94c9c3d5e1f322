//! Releases on GitHub, through its program `gh`.
//!
//! The tag is the version. Files go into a draft, which nobody sees who may not write to the
//! repository; it is published when all of them are there. A draft that an earlier run left is
//! continued.

mod gh;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use image_model::{Digests, ReleaseManifest, Severity};
use image_release::needs::{self, Audience};
use tokio::sync::Mutex;

use self::gh::{Asset, Gh, Release};
use crate::{
    Environment, Object, PublishError, Published,
    blocking::blocking,
    flow::{self, Found, Place, Seen},
    folder,
    work::{Trouble, Work},
};

/// Publishes a release there.
pub(crate) async fn publish(
    repository: &str,
    environment: &Environment,
    manifest: &ReleaseManifest,
    objects: &[Object],
    work: &Work<'_>,
) -> Result<Published, PublishError> {
    let place = format!("github:{repository}, release {}", manifest.version);
    let needs = unmet(manifest, objects);
    if !needs.is_empty() {
        return Err(PublishError::Unmet { place, needs });
    }
    let gh = Gh::find(environment, repository)?;
    // GitHub has no folders: there, clients find those files by their own names only.
    let (flat, nested): (Vec<Object>, Vec<Object>) =
        objects.iter().cloned().partition(|object| !object.name.contains('/'));
    if !nested.is_empty() {
        let names: Vec<_> = nested.iter().map(|object| object.name.as_str()).collect();
        let names = names.join(", ");
        work.notice(format!("a release on GitHub has no folders: {names} are left out"));
    }
    let github = Github {
        gh,
        place,
        version: manifest.version.clone(),
        title: format!("{} {}", manifest.release.title, manifest.version),
        body: body(manifest),
        release: Mutex::new(None),
        left: Mutex::default(),
    };
    flow::run(&github, &flat, work).await
}

/// What GitHub does not take.
fn unmet(manifest: &ReleaseManifest, objects: &[Object]) -> Vec<String> {
    let of_release = needs::of_manifest(manifest).into_iter();
    let hard =
        |need: &needs::Need| need.audience == Audience::Github && need.severity == Severity::Error;
    let mut unmet: Vec<_> = of_release.filter(hard).map(|need| need.to_string()).collect();
    let renamed = objects.iter().filter(|object| !is_kept(&object.name));
    unmet.extend(renamed.map(|object| format!("GitHub would rename {}", object.name)));
    unmet
}

/// True of a name that GitHub leaves as it is. It makes a dot of anything else, and drops dots at
/// the ends. <https://docs.github.com/rest/releases/assets#upload-a-release-asset>
fn is_kept(name: &str) -> bool {
    // That of a client in a folder is not sent.
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '/');
    name.chars().all(allowed) && !name.starts_with('.') && !name.ends_with('.')
}

/// What people read above the list of files.
fn body(manifest: &ReleaseManifest) -> String {
    let images = manifest.images.iter().filter_map(|image| {
        let file = &image.artifacts.first()?.file;
        Some(format!("- `{file}`: {} ({})\n", image.title, image.system))
    });
    let mut body: String = images.collect();
    body += "\n`SHA256SUMS` has the checksums of all files";
    let signatures = manifest.signatures.iter().map(|s| format!("`{}` ({})", s.file, s.scheme));
    let signatures: Vec<_> = signatures.collect();
    if !signatures.is_empty() {
        body += &format!(", and is signed: {}", signatures.join(", "));
    }
    body + ". `index.html` says how to check and how to install.\n"
}

/// A release on GitHub.
struct Github {
    gh: Gh,
    place: String,
    version: String,
    title: String,
    body: String,
    /// The release of the version, once it is known.
    release: Mutex<Option<Release>>,
    /// What uploads left in it that broke off, by name.
    left: Mutex<BTreeMap<String, u64>>,
}

impl Github {
    fn failed(
        &self,
        doing: &str,
    ) -> impl Fn(Box<dyn std::error::Error + Send + Sync>) -> PublishError {
        let what = format!("cannot {doing} {}", self.place);
        move |source| PublishError::place(what.clone(), source)
    }

    /// The release of the version: the published one, else the draft.
    async fn find(&self, work: &Work<'_>) -> Result<Option<Release>, PublishError> {
        let all = work.retry("releases", || self.gh.releases()).await;
        let all = all.map_err(self.failed("look for"))?;
        let ours: Vec<_> = all.into_iter().filter(|r| r.tag_name == self.version).collect();
        let drafts = ours.iter().filter(|release| release.draft).count();
        if let Some(published) = ours.iter().find(|release| !release.draft) {
            return Ok(Some(published.clone()));
        }
        if drafts > 1 {
            let text = format!("{drafts} drafts have this tag; delete all but one, or all");
            return Err(PublishError::Unmet { place: self.place.clone(), needs: vec![text] });
        }
        Ok(ours.into_iter().next())
    }

    /// The release of the version; a new draft where there is none.
    async fn begun(&self, work: &Work<'_>) -> Result<Release, PublishError> {
        let mut known = self.release.lock().await;
        if let Some(release) = &*known {
            return Ok(release.clone());
        }
        let has_tag = work.retry("tag", || self.gh.has_tag(&self.version)).await;
        if !has_tag.map_err(self.failed("look for the tag of"))? {
            work.notice(format!(
                "the repository has no tag {}: GitHub makes it at the newest commit of the default \
                 branch",
                self.version
            ));
        }
        // Not repeated: who does not hear of a draft that came to be would make a second one.
        let draft = self.gh.create_draft(&self.version, &self.title, &self.body).await;
        let draft = draft.map_err(|e| self.failed("begin")(e.into_source()))?;
        Ok(known.insert(draft).clone())
    }

    /// Sends a file, and removes what a try before has left of it.
    async fn send_once(
        &self,
        release: &Release,
        object: &Object,
        is_again: bool,
    ) -> Result<(), Trouble> {
        if is_again {
            let assets = self.gh.assets(release.id).await?;
            if let Some(left) = assets.iter().find(|asset| asset.name == object.name) {
                if left.is_complete() && left.size == object.size {
                    return Ok(());
                }
                self.gh.remove(left.id).await?;
            }
        }
        let Object { name, media_type, path, .. } = object;
        let left = self.left.lock().await.remove(name);
        if let Some(left) = left.filter(|_| !is_again) {
            self.gh.remove(left).await?;
        }
        let asset = self.gh.upload(release, name, media_type, path).await?;
        if asset.name == *name {
            return Ok(());
        }
        Err(Trouble::Final(format!("GitHub calls it {}", asset.name).into()))
    }

    async fn asset(&self, object: &Object, work: &Work<'_>) -> Result<Option<Asset>, PublishError> {
        let release = self.release.lock().await.clone();
        let Some(release) = release else { return Ok(None) };
        let assets = work.retry("assets", || self.gh.assets(release.id)).await;
        let assets = assets.map_err(self.failed("read what is in"))?;
        Ok(assets.into_iter().find(|asset| asset.name == object.name))
    }
}

impl Place for Github {
    fn name(&self) -> String {
        self.place.clone()
    }

    async fn look(&self, objects: &[Object], work: &Work<'_>) -> Result<Seen, PublishError> {
        let release = self.find(work).await?;
        self.release.lock().await.clone_from(&release);
        let Some(release) = release else {
            return Ok(Seen { found: vec![Found::Absent; objects.len()], strangers: Vec::new() });
        };
        let assets = work.retry("assets", || self.gh.assets(release.id)).await;
        let mut assets = assets.map_err(self.failed("read what is in"))?;
        let mut found = Vec::new();
        for object in objects {
            let at = assets.iter().position(|asset| asset.name == object.name);
            found.push(match at.map(|at| assets.swap_remove(at)) {
                // Of a published release nothing is completed: it was seen without that.
                None if release.draft => Found::Absent,
                None => Found::Other(format!("{} is not there", object.name)),
                Some(asset) if !asset.is_complete() && release.draft => {
                    self.left.lock().await.insert(asset.name, asset.id);
                    Found::Absent
                }
                Some(asset) => compare(object, &asset),
            });
        }
        let strangers =
            assets.iter().map(|a| format!("{} is there, and not of this release", a.name));
        Ok(Seen { found, strangers: strangers.collect() })
    }

    async fn send(&self, object: &Object, work: &Work<'_>) -> Result<(), PublishError> {
        // `gh` reads the file by itself: it is judged before.
        let digests = digests_of(object.path.clone())
            .await
            .map_err(|source| PublishError::Read { path: object.path.clone(), source })?;
        if digests != (Digests { size: object.size, sha256: object.sha256 }) {
            return Err(PublishError::Changed { path: object.path.clone() });
        }
        let release = self.begun(work).await?;
        let mut is_again = false;
        let sent = work
            .retry(&object.name, || {
                let again = std::mem::replace(&mut is_again, true);
                self.send_once(&release, object, again)
            })
            .await;
        sent.map_err(self.failed(&format!("send {} to", object.name)))?;
        work.advance(object.size);
        Ok(())
    }

    async fn read_back(&self, object: &Object, work: &Work<'_>) -> Result<Digests, PublishError> {
        let doing = format!("read {} back from", object.name);
        let digests = match self.asset(object, work).await? {
            None => {
                return Err(PublishError::ReadBack {
                    place: self.place.clone(),
                    object: object.name.clone(),
                    found: "it is not there".to_owned(),
                });
            }
            Some(asset) => match asset.sha256() {
                // GitHub hashes what it gets.
                Some(sha256) => Digests { size: asset.size, sha256 },
                None => {
                    let beside = object.path.parent().and_then(Path::parent);
                    let dir = match beside {
                        Some(beside) => tempfile::tempdir_in(beside),
                        None => tempfile::tempdir(),
                    };
                    let dir = dir.map_err(|e| self.failed(&doing)(e.into()))?;
                    let download = || self.gh.download(&self.version, &object.name, dir.path());
                    let file = work.retry(&object.name, download).await;
                    let file = file.map_err(self.failed(&doing))?;
                    digests_of(file).await.map_err(|e| self.failed(&doing)(e.into()))?
                }
            },
        };
        work.advance(object.size);
        Ok(digests)
    }

    async fn finish(&self, work: &Work<'_>) -> Result<(), PublishError> {
        let release = self.release.lock().await.clone();
        let Some(release) = release.filter(|release| release.draft) else { return Ok(()) };
        let published = work.retry("release", || self.gh.publish(release.id)).await;
        let published = published.map_err(self.failed("publish"))?;
        if published.draft {
            return Err(self.failed("publish")("it is a draft still".into()));
        }
        work.notice(format!("published at {}", published.html_url));
        Ok(())
    }
}

fn compare(object: &Object, asset: &Asset) -> Found {
    let Object { name, size, sha256, .. } = object;
    if !asset.is_complete() {
        return Found::Other(format!("{name} is not complete there"));
    }
    if asset.size != *size {
        return Found::Other(format!("{name} has {} bytes there, not {size}", asset.size));
    }
    match asset.sha256() {
        None => Found::Like,
        Some(there) if there == *sha256 => Found::Same,
        Some(there) => Found::Other(format!("{name} has SHA-256 {there} there, not {sha256}")),
    }
}

/// Length and SHA-256 of a file.
async fn digests_of(path: PathBuf) -> std::io::Result<Digests> {
    blocking(move || folder::hash(&File::open(path)?, &AtomicBool::new(false))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_github_changes_are_known() {
        for name in ["nixos-26.05.1.img.zst", "SHA256SUMS", "a_b+c", "streams/v1/index.json"] {
            assert!(is_kept(name), "{name}");
        }
        for name in ["a~1", "a b", ".hidden", "ends.", "ä", "a(1)", "a:b", "50%"] {
            assert!(!is_kept(name), "{name}");
        }
    }
}
