//! What is read by those who wait: the other side of what is asynchronous.

use std::{
    error::Error,
    io::{self, Read},
    pin::pin,
    sync::OnceLock,
};

use bytes::Bytes;
use image_host::interrupt;
use tokio::runtime::Runtime;

use super::Body;

/// Waits for `future`, or until somebody asks the program to stop.
pub(crate) fn wait<T>(
    future: impl Future<Output = Result<T, Box<dyn Error + Send + Sync>>>,
) -> io::Result<T> {
    runtime()?.block_on(async {
        let mut future = pin!(future);
        loop {
            interrupt::check()?;
            if let Ok(done) = tokio::time::timeout(interrupt::GLANCE, &mut future).await {
                return done.map_err(io::Error::other);
            }
        }
    })
}

/// One for all readers: a release has hundreds of files.
fn runtime() -> io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let made = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("reader")
        .enable_all()
        .build()?;
    Ok(RUNTIME.get_or_init(|| made))
}

/// Reads the body of an answer.
pub(crate) struct Reader {
    body: Body,
    /// What came and is not read yet.
    chunk: Bytes,
}

impl Reader {
    pub(crate) fn new(body: Body) -> Self {
        Self { body, chunk: Bytes::new() }
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() && !buf.is_empty() {
            self.chunk = wait(self.body.next())?.unwrap_or_default();
        }
        let len = buf.len().min(self.chunk.len());
        buf[..len].copy_from_slice(&self.chunk.split_to(len));
        Ok(len)
    }
}
