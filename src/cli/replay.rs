use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{
    CliError,
    access::Access,
    options::Reach,
    out::{Out, note, plain},
};
use crate::model::DeliveryId;

/// Which.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Ids of stored deliveries
    #[arg(long = "delivery", required = true, num_args = 1.., value_name = "ID")]
    deliveries: Vec<DeliveryId>,
    #[command(flatten)]
    reach: Reach,
}

/// Has a running server parse stored deliveries again.
pub async fn run(args: ReplayArgs) -> Result<(), CliError> {
    let client = Access::server(&args.reach)?;
    let (mut out, mut failed) = (Out::new(), 0);
    for id in &args.deliveries {
        match client.call(Method::POST, &format!("/api/deliveries/{id}/replay"), None).await {
            Ok(answer) => {
                let new = answer.get("delivery_id").and_then(Value::as_str).map(plain).unwrap_or_default();
                out.line(format_args!("{id}: parsed again as {new}"))?;
            }
            Err(e) => {
                failed += 1;
                note(format_args!("{id}: {e}"));
            }
        }
    }
    out.flush()?;
    match failed {
        0 => Ok(()),
        n => Err(CliError::Failed(format!("{n} of {} could not be parsed again", args.deliveries.len()))),
    }
}
