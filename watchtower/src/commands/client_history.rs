//! `watchtower history`: what the node has in its hands in one answer, all that ever was page by page.
//!
//! **Invariant:** no more than a page is held at a time.

use serde_json::Value;

use super::client_http::Client;
use super::client_words as words;
use crate::cli::Common;
use crate::error::CommandError;

/// The columns of `--csv`.
const COLUMNS: [&str; 12] = [
    "channel",
    "direction",
    "stage",
    "amount",
    "fee",
    "payer",
    "payee",
    "payment",
    "reference",
    "part",
    "parts",
    "reason",
];

/// One payment a line: for people, for machines, for a spreadsheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Words,
    Json,
    Csv,
}

impl Format {
    fn line(self, one: &Value) -> String {
        match self {
            Self::Words => words::payment(one),
            Self::Json => one.to_string(),
            Self::Csv => COLUMNS.map(|column| cell(&one[column])).join(","),
        }
    }
}

/// Numbers, words and identifiers: none has a comma or a quotation mark.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) async fn history(
    client: &Client,
    channel: Option<u64>,
    (all, csv): (bool, bool),
    common: &Common,
) -> Result<(), CommandError> {
    let outcome = if all {
        let format = match (csv, common.json) {
            (true, _) => Format::Csv,
            (false, true) => Format::Json,
            (false, false) => Format::Words,
        };
        pages(client, channel, format).await
    } else {
        newest(client, channel, csv, common).await
    };
    match outcome {
        // Whoever reads has read enough.
        Err(CommandError::System { source, .. })
            if source.kind() == std::io::ErrorKind::BrokenPipe =>
        {
            Ok(())
        }
        other => other,
    }
}

async fn newest(
    client: &Client,
    channel: Option<u64>,
    csv: bool,
    common: &Common,
) -> Result<(), CommandError> {
    let filter = channel.map(|id| format!("?channel={id}")).unwrap_or_default();
    let answer = client.get(&format!("/v1/payments{filter}")).await?;
    if csv {
        super::say(COLUMNS.join(","))?;
        return listed(&answer).iter().try_for_each(|one| super::say(Format::Csv.line(one)));
    }
    super::client::show(common, &answer, words::history)
}

async fn pages(client: &Client, channel: Option<u64>, format: Format) -> Result<(), CommandError> {
    let filter = channel.map(|id| format!("&channel={id}")).unwrap_or_default();
    let (mut after, mut count) = (String::new(), 0_usize);
    if format == Format::Csv {
        super::say(COLUMNS.join(","))?;
    }
    loop {
        let page = client.get(&format!("/v1/payments?all=true{filter}{after}")).await?;
        for one in listed(&page) {
            super::say(format.line(one))?;
            count = count.saturating_add(1);
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    if count == 0 && format == Format::Words {
        super::say("no payments")?;
    }
    Ok(())
}

fn listed(answer: &Value) -> &[Value] {
    answer["payments"].as_array().map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_of_csv_has_every_column_and_what_is_not_there_is_empty() {
        let one = json!({
            "channel": 1, "direction": "outgoing", "stage": "refused", "amount": "5", "fee": "0", "payer": 1,
            "payee": 2, "payment": "0xab", "reference": "0xcd", "part": 1, "parts": 1, "reason": "unknown_payee",
            "why": "the hub does not serve the payee, as far as it knows",
        });
        let line = Format::Csv.line(&one);
        assert_eq!(line, "1,outgoing,refused,5,0,1,2,0xab,0xcd,1,1,unknown_payee");
        let of_a_hub =
            json!({"stage": "credited", "amount": "5", "fee": "0", "payer": 1, "payee": 2});
        let line = Format::Csv.line(&of_a_hub);
        assert_eq!(line, ",,credited,5,0,1,2,,,,,");
        assert_eq!(line.matches(',').count(), COLUMNS.len() - 1);
    }
}
