//! How much memory it takes to publish what is much larger.

use std::alloc;

use cap::Cap;

#[expect(dead_code, reason = "this test needs the server and not all of what is asked of it")]
#[path = "publish/registry.rs"]
mod registry;
#[expect(dead_code, reason = "this test needs a release and not all of what is asked of it")]
#[path = "publish/release.rs"]
mod release;

#[global_allocator]
static ALLOCATOR: Cap<alloc::System> = Cap::new(alloc::System, usize::MAX);

/// Length of the image, in bytes.
const IMAGE: u64 = 256 << 20;

/// What may be allocated at the same time: pieces on their way of a few files, and what TLS and the
/// client need.
const LIMIT: usize = 32 << 20;

#[test]
fn an_image_is_sent_to_a_registry_in_pieces() {
    let mut release = release::Release::new();
    release.add_large("large-26.05.1.img", IMAGE);
    release.seal();
    let registry = registry::Registry::new(release.dir.path());
    let before = ALLOCATOR.max_allocated();
    let published = release.publish(&format!("oci://{}/nixos/images", registry.host())).0.unwrap();
    assert_eq!(published.sent.len(), release.names().len());
    let most = ALLOCATOR.max_allocated();
    assert!(most < LIMIT, "{most} bytes at the same time, {before} before it");
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    println!("allocated at most {most} bytes, {before} before; {resident}");
}
