//! A door for the fuzz targets: rows and blobs as they lie on the disk, read from any bytes.

use serde::{Serialize, de::DeserializeOwned};

use super::{codec, pack, veil};
use crate::model::*;

/// What is read is written as the same bytes again and again; what is not a row is an error.
fn row<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(first) = codec::decode::<T>(bytes) else { return };
    let Ok(written) = codec::encode(&first) else { return };
    let again = codec::decode::<T>(&written).and_then(|second| codec::encode(&second));
    assert!(again.is_ok_and(|again| again == written), "a row that was written is read as another");
}

/// Any bytes as every kind of row, and as a blob of packed rows.
pub fn read(bytes: &[u8]) {
    row::<Delivery>(bytes);
    row::<Alert>(bytes);
    row::<Incident>(bytes);
    row::<Membership>(bytes);
    row::<Investigation>(bytes);
    row::<Transcript>(bytes);
    row::<Spending>(bytes);
    row::<Thought>(bytes);
    row::<Evidence>(bytes);
    row::<Change>(bytes);
    row::<TimelineEntry>(bytes);
    row::<ChangeLogEntry>(bytes);
    row::<ConnectorSettings>(bytes);
    row::<Account>(bytes);
    row::<Session>(bytes);
    row::<Token>(bytes);
    if let Ok(rows) = pack::unpack(bytes) {
        for bytes in pack::rows(&rows) {
            row::<Delivery>(bytes);
        }
    }
    // Packed by us, any bytes come back.
    let packed = lz4_flex::compress_prepend_size(bytes);
    assert!(pack::unpack(&packed).is_ok_and(|unpacked| unpacked == bytes), "what was packed comes back");
    let veiled = veil::over(&packed).unwrap_or_default();
    assert!(pack::unpack(&veiled).is_ok_and(|unpacked| unpacked == bytes), "what was veiled comes back");
}

/// A row of each kind, to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut signal = Signal::new("grafana:a", "a title");
    signal.started_at = Some(Time::from_millis(1_772_500_000_123));
    signal.labels.insert("service".into(), "api".into());
    let delivery = Delivery {
        seq: 9,
        id: DeliveryId::new(Time::from_secs(1), 9),
        at: Time::from_secs(1),
        platform: "grafana".into(),
        outcome: DeliveryOutcome::Accepted,
        problem: None,
        headers: vec![("user-agent".into(), "Grafana".into())],
        body: b"{\"a\":[1,2.5,null]}".to_vec(),
        parsed: Parsed { signals: vec![signal], ..Parsed::default() },
        replay_of: None,
    };
    let evidence = Evidence {
        id: "E1".into(),
        kind: EvidenceKind::Alert,
        title: "t".into(),
        at: Time::from_secs(1),
        url: None,
        data: serde_json::json!({"a": [1, -2, 2.5, null, "x", {"b": true}]}),
    };
    let row = codec::encode(&delivery).unwrap_or_default();
    let mut packed = u32::try_from(row.len()).unwrap_or_default().to_be_bytes().to_vec();
    packed.extend_from_slice(&row);
    vec![
        lz4_flex::compress_prepend_size(&packed),
        row,
        codec::encode(&evidence).unwrap_or_default(),
        codec::encode(&Investigation::default()).unwrap_or_default(),
    ]
}
