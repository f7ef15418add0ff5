//! Secrets at rest: ChaCha20-Poly1305 with a key file beside the databases, so that a copied database alone tells none.

use crate::model::Sealed;

use super::StoreError;

/// Encrypts and decrypts secrets.
#[derive(Clone)]
pub struct Sealer {}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(…)")
    }
}

impl Sealer {
    /// Encrypts a secret.
    pub fn seal(&self, _secret: &str) -> Result<Sealed, StoreError> {
        unimplemented!()
    }

    /// Decrypts a secret. Fails when the key file is another one.
    pub fn open(&self, _sealed: &Sealed) -> Result<String, StoreError> {
        unimplemented!()
    }
}
