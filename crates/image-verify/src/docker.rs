//! Judges archives for `docker load`: the archive, the list of images in it, each image's
//! configuration, each layer, and what the layers make together.

mod checks;
mod index;
mod layer;
pub(crate) mod words;

use std::rc::Rc;

use image_formats::{
    bytes::{ReadError, Region},
    docker::{self, Config, ManifestItem},
};
use image_model::{Check, Location};
use serde::de::DeserializeOwned;
use sha2::Digest as _;

pub use checks::*;

use crate::{
    Limits, Recorder,
    container::raw_at,
    members::{self, Member, Members},
    tree::{Interests, Tree, display},
};
use index::{Seen, hex};
use layer::Layer;

/// How many images of an archive are judged.
const MAX_IMAGES: usize = 16;
/// How many layers Docker mounts.
const MAX_LAYERS: usize = 125;
/// The most bytes of layers that are read, for all images and all passes.
const MAX_READ: u64 = 256 << 30;
/// The most bytes of what layers take away: it is kept until the last image is put together.
const MAX_WHITEOUTS: u64 = 64 << 20;

/// What is asked of the files of an image: who may run a program in it.
static INTERESTS: Interests = Interests {
    paths: &["/etc/passwd", "/etc/group"],
    // They are often links to files elsewhere with the same name.
    speculative: |path, size| {
        size <= 64 << 10 && (path.ends_with(b"/etc/passwd") || path.ends_with(b"/etc/group"))
    },
    named_in: |_, _| Vec::new(),
};

/// An image, as far as it could be read.
#[derive(Debug)]
pub struct Image {
    /// The names that it gets.
    pub tags: Vec<String>,
    /// Its configuration.
    pub config: Config,
    /// Where that is.
    pub at: Location,
    /// Its files; `None` where not all of its layers could be read.
    pub tree: Option<Tree>,
}

/// Judges an archive, and gives its images to `each`, one after the other: the files of all at once
/// are more than memory may have room for. An error is the machine's.
pub fn verify(
    archive: &Region,
    limits: &Limits,
    out: &mut Recorder,
    each: &mut dyn FnMut(&Image, &mut Recorder),
) -> Result<(), ReadError> {
    out.announce(CHECKS);
    let checks = members::Checks { sound: &TAR, name: &NAME, limit: &LIMITS };
    let members = Members::read(archive, &checks, out)?;
    let budget = readable(archive.len(), limits);
    let (layers, room) = (Seen::new(), MAX_WHITEOUTS);
    let mut judge = Judge { members: &members, limits, out, layers, budget, room };
    let Some(items) = judge.manifest()? else { return Ok(()) };
    let within = items.len() <= MAX_IMAGES;
    judge.out.expect(&LIMITS, within, || {
        (raw_at("archive", 0, 0), format!("{} images, {MAX_IMAGES} were judged", items.len()))
    });
    for item in items.iter().take(MAX_IMAGES) {
        if let Some(image) = judge.image(item)? {
            each(&image, judge.out);
        }
    }
    judge.index(&items)?;
    judge.blobs()
}

/// How many bytes of layers are read of an archive of `len` bytes. Many small layers that expand
/// cost no more than one large one, also where each of them is within its limit.
fn readable(len: u64, limits: &Limits) -> u64 {
    let expanded = len.saturating_mul(limits.ratio);
    expanded.saturating_add(limits.unchecked_raw_len.saturating_mul(4)).min(MAX_READ)
}

struct Judge<'a, 'o> {
    members: &'a Members,
    limits: &'a Limits,
    out: &'o mut Recorder,
    /// Layers that were judged: several images may have them.
    layers: Seen<Rc<Layer>>,
    /// How many bytes of layers may still be read.
    budget: u64,
    /// How many bytes of what layers take away may still be kept.
    room: u64,
}

impl<'a> Judge<'a, '_> {
    /// What a member says; a finding of `check` where it says something else.
    fn json<T: DeserializeOwned>(
        &mut self,
        check: &'static Check,
        member: &Member,
        limit: u64,
    ) -> Result<Option<T>, ReadError> {
        let parsed = match member.read(limit) {
            Ok(bytes) => docker::parse(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.is_defect() => Err(error.cause.to_string()),
            Err(error) => return Err(error),
        };
        self.out.expect(check, parsed.is_ok(), || {
            let why = parsed.as_ref().err().cloned().unwrap_or_default();
            (member.location(), display(why.as_bytes()))
        });
        Ok(parsed.ok())
    }

    fn manifest(&mut self) -> Result<Option<Vec<ManifestItem>>, ReadError> {
        let found = self.members.find_file(b"manifest.json");
        let Some(member) = found else {
            self.out.expect(&MANIFEST, false, || {
                let has_index = self.members.find(b"index.json").is_some();
                let hint = match has_index {
                    true => {
                        ", only the index of an OCI layout, which `podman load` takes, and Docker \
                         with the image store of containerd alone"
                    }
                    false => "",
                };
                (raw_at("archive", 0, 0), format!("there is no manifest.json{hint}"))
            });
            return Ok(None);
        };
        let Some(items) = self.json::<Vec<ManifestItem>>(&MANIFEST, member, docker::MAX_LIST)?
        else {
            return Ok(None);
        };
        self.out.expect(&MANIFEST, !items.is_empty(), || {
            (member.location(), "it lists no image".to_owned())
        });
        for tag in items.iter().flat_map(|item| &item.repo_tags) {
            self.out.expect(&REPO_TAGS, words::is_tagged(tag), || {
                (member.location(), format!("{:?} is no name with a tag", display(tag.as_bytes())))
            });
        }
        Ok(Some(items))
    }

    fn image(&mut self, item: &ManifestItem) -> Result<Option<Image>, ReadError> {
        let found = self.members.find_file(item.config.as_bytes());
        let Some(member) = found else {
            self.out.expect(&CONFIG, false, || {
                let config = display(item.config.as_bytes());
                (raw_at("archive", 0, 0), format!("{config:?} is no file in the archive"))
            });
            return Ok(None);
        };
        let Some(config) = self.json::<Config>(&CONFIG, member, docker::MAX_CONFIG)? else {
            return Ok(None);
        };
        if let Some(wanted) = words::digest_of_name(&item.config) {
            let digest: [u8; 32] = sha2::Sha256::digest(member.read(docker::MAX_CONFIG)?).into();
            self.out.expect(&CONFIG_NAME, digest == wanted, || {
                (member.location(), format!("its digest is {}", hex(&digest)))
            });
        }
        self.dates(member, &config);
        let tree = self.layers(member, item, &config)?;
        let (tags, at) = (item.repo_tags.clone(), member.location());
        Ok(Some(Image { tags, config, at, tree }))
    }

    fn dates(&mut self, member: &Member, config: &Config) {
        let history = config.history.iter().map(|step| &step.created);
        for date in history.chain([&config.created]).flatten() {
            self.out.expect(&CREATED, words::is_date(date), || {
                (member.location(), format!("{:?} is no date", display(date.as_bytes())))
            });
        }
        let steps = config.history.iter().filter(|step| !step.empty_layer).count();
        let layers = config.rootfs.diff_ids.len();
        self.out.expect(&HISTORY, config.history.is_empty() || steps == layers, || {
            (member.location(), format!("{steps} steps with a layer, and {layers} layers"))
        });
    }

    /// Judges the layers, and puts them on each other.
    fn layers(
        &mut self,
        member: &Member,
        item: &ManifestItem,
        config: &Config,
    ) -> Result<Option<Tree>, ReadError> {
        let (count, digests) = (item.layers.len(), config.rootfs.diff_ids.len());
        let kind = &config.rootfs.kind;
        let known = kind == "layers";
        self.out.expect(&LAYERS, known && count == digests, || {
            let kind = display(kind.as_bytes());
            let message = format!("{count} layers, and {digests} digests in a rootfs of {kind:?}");
            (member.location(), message)
        });
        self.out.expect(&LAYER_LIMIT, count <= MAX_LAYERS, || {
            (member.location(), format!("{count} layers, not at most {MAX_LAYERS}"))
        });
        let mut tree = Tree::new(&INTERESTS);
        let mut whole = count <= MAX_LAYERS && count == digests;
        for (index, path) in item.layers.iter().take(MAX_LAYERS).enumerate() {
            let found = self.members.find_file(path.as_bytes());
            let Some(found) = found else {
                self.out.expect(&LAYER_FILE, false, || {
                    let path = display(path.as_bytes());
                    (member.location(), format!("{path:?} is no file in the archive"))
                });
                whole = false;
                continue;
            };
            self.out.expect(&LAYER_FILE, true, || (member.location(), String::new()));
            let layer = self.layer(found)?;
            let wanted = config.rootfs.diff_ids.get(index);
            if let Some(digest) = layer.diff_id
                && let Some(wanted) = wanted
            {
                self.out.expect(&DIFF_ID, words::digest(wanted) == Some(digest), || {
                    let wanted = display(wanted.as_bytes());
                    (found.location(), format!("its digest is {}, not {wanted}", hex(&digest)))
                });
            }
            whole &= layer.diff_id.is_some() && layer.is_sound;
            if whole {
                whole = layer::merge(found, &layer, &mut tree, &mut self.budget, self.out)?;
            }
        }
        Ok(whole.then_some(tree))
    }

    fn layer(&mut self, member: &Member) -> Result<Rc<Layer>, ReadError> {
        if let Some(known) = self.layers.get(&member.at) {
            return Ok(Rc::clone(known));
        }
        let layer = layer::judge(member, self.limits, &mut self.budget, &mut self.room, self.out)?;
        let layer = Rc::new(layer);
        self.layers.insert(member.at, Rc::clone(&layer));
        Ok(layer)
    }
}
