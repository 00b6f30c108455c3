//! What a check came to.

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Grade {
    /// As it should be.
    Good,
    /// A tower works, but worse than it could, or not for long.
    Warn,
    /// A tower does not start, or would miss a dispute.
    Bad,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) check: String,
    /// How bad it is.
    pub(crate) grade: Grade,
    /// What was found.
    pub(crate) says: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fix: Option<String>,
}

impl Finding {
    pub(crate) fn good(check: impl Into<String>, says: impl Into<String>) -> Self {
        Self { check: check.into(), grade: Grade::Good, says: says.into(), fix: None }
    }

    pub(crate) fn warn(
        check: impl Into<String>,
        says: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { grade: Grade::Warn, fix: Some(fix.into()), ..Self::good(check, says) }
    }

    pub(crate) fn bad(
        check: impl Into<String>,
        says: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { grade: Grade::Bad, fix: Some(fix.into()), ..Self::good(check, says) }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let grade = match self.grade {
            Grade::Good => "ok  ",
            Grade::Warn => "WARN",
            Grade::Bad => "BAD ",
        };
        write!(f, "{grade}  {:<22} {}", self.check, self.says)?;
        match &self.fix {
            Some(fix) => write!(f, "\n      {:<22} -> {fix}", ""),
            None => Ok(()),
        }
    }
}
