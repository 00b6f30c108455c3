//! The few elements of a page, with everything escaped.

use std::fmt::Write as _;

/// How something reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it should be.
    Good,
    /// Somebody should look.
    Bad,
    /// Neither.
    Plain,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:64rem;padding:1rem;color:#1b1f24;background:#fff}\
    h1{font-size:1.4rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}p.good,p.bad{padding:.6rem .9rem;border-radius:.4rem;font-weight:600}\
    p.good{background:#dff3e4;color:#0b4f1e}p.bad{background:#fde2e1;color:#7a1410}table{border-collapse:collapse;width:100%}\
    th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #d9dee3;overflow-wrap:anywhere}th{font-weight:600;color:#4b5560}\
    th[scope=row]{width:17rem}tr.bad td{color:#7a1410;font-weight:600}pre{white-space:pre-wrap}footer{margin-top:2rem;color:#4b5560;font-size:.85rem}\
    @media(prefers-color-scheme:dark){body{color:#e3e7eb;background:#15181c}p.good{background:#12391f;color:#b9f0c8}\
    p.bad,tr.bad td{background:#4a1512;color:#ffd0cd}th,footer{color:#a3adb8}th,td{border-color:#343b43}}";

/// Text that means itself in HTML, also inside quotes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// A page in the making. Writing to a string cannot fail, so results of `write!` are dropped.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
}

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let title = escape(title);
        let text = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
        );
        Self { text }
    }

    pub(super) fn banner(&mut self, tone: Tone, words: &str) {
        let _ = write!(
            self.text,
            "<p class=\"{}\" role=\"status\">{}</p>",
            tone.class(),
            escape(words)
        );
    }

    pub(super) fn facts(&mut self, title: &str, facts: &[(&str, String)]) {
        let _ = write!(self.text, "<h2>{}</h2><table>", escape(title));
        for (name, value) in facts {
            let _ = write!(
                self.text,
                "<tr><th scope=\"row\">{}</th><td>{}</td></tr>",
                escape(name),
                escape(value)
            );
        }
        self.text.push_str("</table>");
    }

    pub(super) fn table(
        &mut self,
        title: &str,
        columns: &[&str],
        rows: &[(Tone, Vec<String>)],
        empty: &str,
    ) {
        let _ = write!(self.text, "<h2>{}</h2>", escape(title));
        if rows.is_empty() {
            let _ = write!(self.text, "<p>{}</p>", escape(empty));
            return;
        }
        self.text.push_str("<table><tr>");
        for column in columns {
            let _ = write!(self.text, "<th scope=\"col\">{}</th>", escape(column));
        }
        self.text.push_str("</tr>");
        for (tone, cells) in rows {
            let _ = write!(self.text, "<tr class=\"{}\">", tone.class());
            for cell in cells {
                let _ = write!(self.text, "<td>{}</td>", escape(cell));
            }
            self.text.push_str("</tr>");
        }
        self.text.push_str("</table>");
    }

    pub(super) fn text(&mut self, text: &str) {
        let _ = write!(self.text, "<pre>{}</pre>", escape(text));
    }

    pub(super) fn finish(mut self) -> String {
        self.text.push_str(
            "<footer>JSON: /v1/status, /v1/disputes. Figures: /metrics. For machines: /healthz, /readyz.</footer></body></html>",
        );
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_cannot_become_a_part_of_the_page() {
        let evil = "<script>alert(\"x\")</script> & 'y'";
        let mut page = Page::new(evil);
        page.banner(Tone::Bad, evil);
        page.facts(evil, &[(evil, evil.to_owned())]);
        page.table(evil, &[evil], &[(Tone::Plain, vec![evil.to_owned()])], evil);
        page.text(evil);
        let text = page.finish();
        assert!(!text.contains("<script"), "{text}");
        assert_eq!(text.matches("&lt;script&gt;alert(&quot;x&quot;)").count(), 10);
    }

    #[test]
    fn a_page_asks_for_nothing_else() {
        let text = Page::new("x").finish();
        for outside in ["src=", "href=", "url(", "@import", "http://", "https://"] {
            assert!(!text.contains(outside), "{outside}");
        }
    }
}
