//! Where the present request comes from, for the audit log. Handed on beside the call, so that no command has to be told.

use std::net::IpAddr;

tokio::task_local! {
    static FROM: IpAddr;
}

/// Does some work for somebody at this address.
pub async fn from<F: Future>(address: IpAddr, work: F) -> F::Output {
    FROM.scope(address, work).await
}

/// The address that the present work is done for.
pub fn here() -> Option<String> {
    FROM.try_with(ToString::to_string).ok()
}
