//! A file in pieces, hashed on the way.

use std::{
    fs::File,
    io::Read as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use oci_client::errors::OciDistributionError;
use sha2::{Digest as _, Sha256};

use crate::{Object, PublishError, blocking::blocking};

/// Length of a piece, in bytes. One is being sent while the next one is read.
const PIECE: usize = 1 << 20;

/// Where a file is.
struct Reading {
    object: Object,
    file: Option<File>,
    hasher: Sha256,
    read: u64,
}

/// The file of an object in pieces. `sent` grows with what was handed on. What is wrong with the
/// file itself goes into `fault`, and the last piece is not handed on then, so that no registry
/// takes it.
pub(super) fn pieces(
    object: &Object,
    sent: Arc<AtomicU64>,
    fault: Arc<Mutex<Option<PublishError>>>,
) -> impl Stream<Item = Result<Bytes, OciDistributionError>> + Send + 'static {
    let reading = Reading { object: object.clone(), file: None, hasher: Sha256::new(), read: 0 };
    stream::try_unfold((reading, sent, fault), |(reading, sent, fault)| async move {
        let broken = match blocking(move || reading.next()).await {
            Ok(None) => return Ok(None),
            Ok(Some((piece, reading))) => {
                sent.store(reading.read, Ordering::Relaxed);
                return Ok(Some((piece, (reading, sent, fault))));
            }
            Err(error) => error,
        };
        let text = broken.to_string();
        *fault.lock().expect("no holder of this lock panics") = Some(broken);
        Err(OciDistributionError::GenericError(Some(text)))
    })
}

impl Reading {
    /// The next piece; `None` at the end.
    fn next(mut self) -> Result<Option<(Bytes, Self)>, PublishError> {
        let path = &self.object.path;
        let fail = |source| PublishError::Read { path: path.clone(), source };
        let left = self.object.size - self.read;
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(path).map_err(fail)?),
        };
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
        let mut piece = Vec::with_capacity(len);
        let limit = u64::try_from(len).expect("usize fits in u64");
        file.take(limit).read_to_end(&mut piece).map_err(fail)?;
        self.hasher.update(&piece);
        self.read += u64::try_from(piece.len()).expect("usize fits in u64");
        let changed = || PublishError::Changed { path: path.clone() };
        if piece.len() < len {
            return Err(changed());
        }
        if self.read == self.object.size {
            let longer = file.read(&mut [0]).map_err(fail)? > 0;
            let digest: [u8; 32] = self.hasher.clone().finalize().into();
            if longer || digest != self.object.sha256.0 {
                return Err(changed());
            }
        }
        if piece.is_empty() {
            return Ok(None);
        }
        Ok(Some((piece.into(), self)))
    }
}
