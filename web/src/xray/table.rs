//! The files as a table: its order, and its content for a spreadsheet or a program.

use std::cmp::Ordering;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use shared::Finding;
use shared::io::ModelCard;

use super::answer::{Row, rows};
use super::item::{Item, ItemState};

/// A column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Column {
    /// As the files were given.
    #[default]
    Given,
    /// Name of the file.
    File,
    /// Those first that fail the input check, then those without an answer.
    Check,
    /// The most probable finding.
    Highest,
    /// One finding.
    Finding(Finding),
}

/// In which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// The first or the lowest first.
    #[default]
    Rising,
    /// The last or the highest first.
    Falling,
}

/// How the table is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Order {
    /// By what.
    pub column: Column,
    /// In which direction.
    pub direction: Direction,
}

impl Order {
    /// What a press on a column's head comes to: that column, the highest numbers first, or the other direction.
    #[must_use]
    pub fn pressed(self, column: Column) -> Self {
        let direction = match (self.column == column, self.direction) {
            (true, Direction::Rising) => Direction::Falling,
            (false, _) if matches!(column, Column::Highest | Column::Finding(_)) => Direction::Falling,
            _ => Direction::Rising,
        };
        Self { column, direction }
    }

    /// Sorts files. Those without a number come last in either direction; equals keep their order.
    pub fn sort(self, items: &mut [(Item, Vec<Row>)]) {
        let number = |rows: &[Row]| match self.column {
            Column::Finding(finding) => rows.iter().find(|row| row.finding == finding).map(|row| row.image.shown()),
            _ => rows.first().map(|row| row.image.shown()),
        };
        let direct = |ordering: Ordering| match self.direction {
            Direction::Rising => ordering,
            Direction::Falling => ordering.reverse(),
        };
        items.sort_by(|(a, rows_a), (b, rows_b)| match self.column {
            Column::Given => direct(a.id.cmp(&b.id)),
            Column::File => direct(a.file.to_lowercase().cmp(&b.file.to_lowercase())),
            Column::Check => direct(rank(a).cmp(&rank(b))),
            Column::Highest | Column::Finding(_) => match (number(rows_a), number(rows_b)) {
                (Some(a), Some(b)) => direct(a.total_cmp(&b)),
                (a, b) => b.is_some().cmp(&a.is_some()),
            },
        });
    }
}

fn rank(item: &Item) -> u8 {
    match (&item.state, &item.answer) {
        (_, Some(answer)) if !answer.passes() => 0,
        (ItemState::Failed(_), _) => 1,
        (_, None) => 2,
        (_, Some(_)) => 3,
    }
}

/// The files with their rows, as the table shows them.
pub fn listed(items: &[Item], card: Option<&ModelCard>, order: Order) -> Vec<(Item, Vec<Row>)> {
    let mut listed: Vec<(Item, Vec<Row>)> = items.iter().map(|item| (item.clone(), rows_of(item, card))).collect();
    order.sort(&mut listed);
    listed
}

/// The findings of a file, the most probable first; empty without an answer or a model.
pub fn rows_of(item: &Item, card: Option<&ModelCard>) -> Vec<Row> {
    let answer = item.answer.as_ref().zip(card);
    answer.map_or_else(Vec::new, |(answer, card)| rows(card, &answer.scores, item.report.joined().map(|j| &j.scores)))
}

/// All files for a spreadsheet: comma-separated, one line a file, numbers with a point.
pub fn csv(items: &[Item], card: &ModelCard) -> String {
    let mut head: Vec<String> =
        ["model", "weights_sha256", "file", "state", "message", "input_check", "report"].map(str::to_owned).to_vec();
    for finding in Finding::ALL {
        let parts = ["score", "probability", "threshold", "score_with_report", "probability_with_report"];
        head.extend(parts.map(|part| format!("{}_{part}", finding.name())));
    }
    let mut text = String::new();
    line(&mut text, &head);
    for item in items {
        let (state, message) = state(item);
        let check = item.answer.as_ref().and_then(|answer| answer.checked.as_ref());
        let check = check.map(|checked| {
            let reasons: Vec<String> = checked.reasons.iter().map(|reason| format!("{reason:?}")).collect();
            if reasons.is_empty() { "passed".to_owned() } else { format!("failed: {}", reasons.join("; ")) }
        });
        let report = if item.report.joined().is_some() { item.report.text.clone() } else { String::new() };
        let mut cells =
            vec![card.name.clone(), card.weights.sha256.clone(), item.file.clone(), state.to_owned(), message];
        cells.extend([check.unwrap_or_default(), report]);
        let rows = rows_of(item, Some(card));
        let number = |value: Option<f32>| value.map_or_else(String::new, |value| value.to_string());
        for finding in Finding::ALL {
            let row = rows.iter().find(|row| row.finding == finding);
            let joined = row.and_then(|row| row.joined.as_ref());
            cells.push(number(row.map(|row| row.image.score)));
            cells.push(number(row.and_then(|row| row.image.probability)));
            cells.push(number(card.findings[finding.index()].threshold));
            cells.push(number(joined.map(|joined| joined.score)));
            cells.push(number(joined.and_then(|joined| joined.probability)));
        }
        line(&mut text, &cells);
    }
    text
}

/// Appends a line of cells, as RFC 4180 has it.
fn line(text: &mut String, cells: &[String]) {
    for (i, cell) in cells.iter().enumerate() {
        if i > 0 {
            text.push(',');
        }
        // A spreadsheet would take such a text for a formula and run it.
        let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
        let guard = if is_formula { "'" } else { "" };
        if is_formula || cell.contains([',', '"', '\n', '\r']) {
            // Writing to a text cannot fail.
            let _ = write!(text, "\"{guard}{}\"", cell.replace('"', "\"\""));
        } else {
            text.push_str(cell);
        }
    }
    text.push_str("\r\n");
}

/// All files for a program.
pub fn to_json(items: &[Item], card: &ModelCard) -> String {
    let files: Vec<Value> = items
        .iter()
        .map(|item| {
            let (state, message) = state(item);
            let rows = rows_of(item, Some(card));
            let findings: Map<String, Value> = Finding::ALL
                .iter()
                .filter_map(|finding| {
                    let row = rows.iter().find(|row| row.finding == *finding)?;
                    let mut entry = json!({
                        "score": row.image.score,
                        "probability": row.image.probability,
                        "threshold": card.findings[finding.index()].threshold,
                        "above_threshold": row.image.mark.map(|_| row.image.call.is_above()),
                    });
                    if let Some(joined) = &row.joined {
                        entry["with_report"] = json!({ "score": joined.score, "probability": joined.probability });
                    }
                    Some((finding.name().to_owned(), entry))
                })
                .collect();
            json!({
                "file": item.file,
                "state": state,
                "message": (!message.is_empty()).then_some(message),
                "input_check": item.answer.as_ref().and_then(|answer| answer.checked.clone()),
                "report": item.report.joined().map(|_| item.report.text.clone()),
                "findings": findings,
            })
        })
        .collect();
    let all = json!({
        "model": { "name": card.name, "weights_sha256": card.weights.sha256 },
        "files": files,
    });
    format!("{all:#}\n")
}

fn state(item: &Item) -> (&'static str, String) {
    match &item.state {
        ItemState::Waiting => ("waiting", String::new()),
        ItemState::Reading => ("reading", String::new()),
        ItemState::Answered => ("answered", String::new()),
        ItemState::Failed(message) => ("failed", message.clone()),
        ItemState::Cancelled => ("cancelled", String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::protocol::Origin;
    use crate::worker::{Failure, FailureKind};
    use crate::xray::answer::tests::card;
    use crate::xray::protocol::Response;
    use crate::xray::session::Session;
    use crate::xray::session::tests::answer;
    use shared::infer::Reason;

    fn session() -> Session {
        let mut session = Session::default();
        session.receive(Response::Ready { card: Box::new(card()), origin: Origin::Kept }, Vec::new());
        let ids = session.begin_all(["b.png", "=SUM(A1).png", "a \"x\", y.png", "d.png"]);
        session.receive(answer(ids[0], 0.4, vec![]), Vec::new());
        session.receive(answer(ids[1], 0.8, vec![Reason::Far, Reason::Shades]), Vec::new());
        session.fail(ids[2], "damaged,\nfetch it again".to_owned());
        session.receive(answer(ids[3], 0.6, vec![]), Vec::new());
        let failure = Failure::new(FailureKind::File, &"late");
        session.receive(Response::Failed { id: ids[3], failure }, Vec::new());
        session
    }

    fn order_of(order: Order) -> Vec<u64> {
        listed(session().items(), Some(&card()), order).iter().map(|(item, _)| item.id).collect()
    }

    #[test]
    fn files_are_sorted_by_any_column_and_those_without_an_answer_come_last() {
        let order = Order::default();
        assert_eq!(order_of(order), [1, 2, 3, 4]);
        assert_eq!(order_of(order.pressed(Column::Given)), [4, 3, 2, 1]);
        let by_file = order.pressed(Column::File);
        assert_eq!(order_of(by_file), [2, 3, 1, 4]);
        assert_eq!(order_of(by_file.pressed(Column::File)), [4, 1, 3, 2]);
        let highest = order.pressed(Column::Highest);
        assert_eq!(order_of(highest), [2, 4, 1, 3]);
        assert_eq!(order_of(highest.pressed(Column::Highest)), [1, 4, 2, 3]);
        assert_eq!(order_of(order.pressed(Column::Finding(Finding::Mass))), [2, 4, 1, 3]);
        assert_eq!(order_of(order.pressed(Column::Check)), [2, 3, 1, 4]);
    }

    /// Cells of a text as RFC 4180 has them.
    fn cells(text: &str) -> Vec<Vec<String>> {
        let (mut lines, mut line, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    cell.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => line.push(std::mem::take(&mut cell)),
                '\r' if !quoted => {}
                '\n' if !quoted => {
                    line.push(std::mem::take(&mut cell));
                    lines.push(std::mem::take(&mut line));
                }
                other => cell.push(other),
            }
        }
        lines
    }

    #[test]
    fn a_spreadsheet_reads_back_what_was_written() {
        let lines = cells(&csv(session().items(), &card()));
        assert_eq!(lines.len(), 5);
        let n_columns = 7 + 5 * Finding::COUNT;
        assert!(lines.iter().all(|line| line.len() == n_columns), "{lines:?}");
        let column = |name: &str| lines[0].iter().position(|cell| cell == name).expect(name);
        let at = |line: usize, name: &str| lines[line][column(name)].as_str();
        assert_eq!((at(1, "file"), at(1, "model"), at(1, "input_check")), ("b.png", "test", "passed"));
        assert_eq!(at(2, "file"), "'=SUM(A1).png", "no formula");
        assert_eq!(at(2, "input_check"), "failed: Far; Shades");
        assert_eq!((at(3, "file"), at(3, "message")), ("a \"x\", y.png", "damaged,\nfetch it again"));
        assert_eq!((at(1, "Mass_score"), at(1, "Mass_threshold"), at(3, "Mass_score")), ("0.4", "0.5", ""));
        assert_eq!(at(1, "Hernia_threshold"), "");
    }

    #[test]
    fn a_program_reads_back_what_was_written() {
        let all: Value = serde_json::from_str(&to_json(session().items(), &card())).expect("JSON");
        assert_eq!(all["files"].as_array().map(Vec::len), Some(4));
        assert_eq!(all["model"]["name"], "test");
        assert_eq!(all["files"][1]["input_check"]["reasons"], json!(["far", "shades"]));
        assert_eq!(all["files"][2]["message"], "damaged,\nfetch it again");
        assert_eq!(all["files"][2]["findings"], json!({}));
        let mass = &all["files"][1]["findings"]["Mass"];
        assert!((mass["score"].as_f64().expect("a score") - 0.8).abs() < 1e-6);
        assert_eq!((&mass["above_threshold"], &mass["probability"]), (&json!(true), &Value::Null));
        assert_eq!(all["files"][1]["findings"]["Hernia"]["above_threshold"], Value::Null);
    }
}
