//! `key generate`

use super::Context;
use crate::{Verdict, args::KeyGenerateArgs, failure::Failure};

pub(super) fn generate(_context: Context, _args: KeyGenerateArgs) -> Result<Verdict, Failure> {
    unreachable!("written by its owner")
}
