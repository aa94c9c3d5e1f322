//! Container images: the lists of them, their configurations, and the files of their layers.

use std::{io, sync::Arc};

use image_formats::{
    bytes::{ReadAt, Region},
    docker::{self, Config, Index, ManifestItem},
    tar::Reader,
};
use image_host::interrupt;
use image_model::Compression;
use image_verify::{container, open_raw};
use serde_json::Value;

use super::{
    Printer, Structure, archive,
    members::{Files, broken, stream, word, words},
    structure, text,
};

/// Prints what the members of a container image say, and what is in its layers.
pub(super) fn inspect(raw: &Arc<dyn ReadAt>, out: &mut Printer) -> io::Result<()> {
    let files = Files::read(raw)?;
    if let Some((at, bytes)) = files.content("index.json", docker::MAX_LIST) {
        match docker::parse::<Index>(&bytes) {
            Ok(index) => {
                for entry in &index.manifests {
                    out.print(&structure(
                        "oci manifest",
                        "raw",
                        at,
                        [
                            ("mediaType", text(entry.media_type.as_bytes())),
                            ("digest", text(entry.digest.as_bytes())),
                            ("size", entry.size.into()),
                        ],
                    ))?;
                }
            }
            Err(error) => out.print(&broken("index.json", at, &error))?,
        }
    }
    let Some((at, bytes)) = files.content("manifest.json", docker::MAX_LIST) else {
        return Ok(());
    };
    let items = match docker::parse::<Vec<ManifestItem>>(&bytes) {
        Ok(items) => items,
        Err(error) => return out.print(&broken("manifest.json", at, &error)),
    };
    for item in &items {
        out.print(&structure(
            "image",
            "raw",
            at,
            [
                ("config", text(item.config.as_bytes())),
                ("tags", words(&item.repo_tags)),
                ("layers", item.layers.len().into()),
            ],
        ))?;
        let mut ids = Vec::new();
        if let Some((at, bytes)) = files.content(&item.config, docker::MAX_CONFIG) {
            match docker::parse::<Config>(&bytes) {
                Ok(config) => {
                    out.print(&configuration(&config, at))?;
                    ids = config.rootfs.diff_ids;
                }
                Err(error) => out.print(&broken("configuration", at, &error))?,
            }
        }
        for (number, path) in item.layers.iter().enumerate() {
            let Some(region) = files.get(path) else { continue };
            let id = ids.get(number).map_or(Value::Null, |id| text(id.as_bytes()));
            let fields = [
                ("number", number.into()),
                ("path", text(path.as_bytes())),
                ("size", region.len().into()),
                ("diffId", id),
            ];
            out.print(&structure("layer", "raw", region.start().0, fields))?;
            layer(region, out)?;
        }
    }
    Ok(())
}

fn configuration(config: &Config, at: u64) -> Structure {
    let run = &config.config;
    let steps = config.history.iter().filter(|step| !step.empty_layer).count();
    structure(
        "configuration",
        "raw",
        at,
        [
            ("os", text(config.os.as_bytes())),
            ("architecture", text(config.architecture.as_bytes())),
            ("created", word(&config.created)),
            ("user", text(run.user.as_bytes())),
            ("entrypoint", words(&run.entrypoint)),
            ("cmd", words(&run.cmd)),
            ("env", words(&run.env)),
            ("workingDir", text(run.working_dir.as_bytes())),
            ("rootfs", text(config.rootfs.kind.as_bytes())),
            ("history", steps.into()),
        ],
    )
}

/// The files of a layer. In one that is compressed they have no place in the image.
fn layer(region: &Region, out: &mut Printer) -> io::Result<()> {
    let mut head = vec![0; region.len().min(512) as usize];
    region.fill("layer", 0, &mut head).map_err(io::Error::other)?;
    let plain = container::compression(&head).is_none_or(|found| found == Compression::None);
    let mut reader = Reader::new(open_raw(stream(region))?);
    // What is damaged ends there.
    while let Ok(Some(item)) = reader.next_item() {
        interrupt::check()?;
        let mut found = archive::describe(&item);
        if plain {
            found.offset += region.start().0;
        } else {
            found.space = "layer";
        }
        out.print(&found)?;
    }
    Ok(())
}
