//! The contracts that the verifier creates: each evaluates some of the constraints at zeta.
//!
//! All are given the same block of memory and return three sums, one per challenge. A gate is evaluated where its kind of
//! arithmetic is at hand, see [`Home`].

use super::{
    CURVE, Circuit, GATES, GenerateError, POSEIDON, RESERVED, field,
    gates::{self, Home},
    memory::{Block, CELL, Regions, WORD},
    poseidon, quintic,
    template::{Code, Values},
};

impl Circuit<'_> {
    /// Whether a contract has gates to evaluate.
    pub(super) fn has_gates(&self, home: Home) -> bool {
        self.gates_in(home).next().is_some()
    }

    pub(super) fn gates_in(&self, home: Home) -> impl Iterator<Item = usize> {
        let gates = self.common.gates.iter().enumerate();
        gates.filter(move |(_, gate)| gates::home(gate) == home).map(|(row, _)| row)
    }

    /// Sets the accumulators' addresses and the shared functions of a part.
    fn set_part(&self, regions: &mut Regions, values: &mut Values) -> Result<Block, GenerateError> {
        const ACCUMULATORS: [&str; 6] = ["ACC0", "ACC1", "ACC2", "ACC3", "ACC4", "ACC5"];
        let acc = regions.take(6 * CELL);
        values.set("ACC", acc).set("ACC_END", acc + 3 * CELL);
        values.set("TOTAL", acc + 3 * CELL).set("TOTAL_END", acc + 6 * CELL);
        for (index, name) in ACCUMULATORS.into_iter().enumerate() {
            values.set(name, acc + index * WORD);
        }
        let block = self.block(regions.take(0));
        self.set_block(&block, values);
        values.set("IN", block.start).set("IN_BYTES", block.bytes());
        self.selectors.set_unused(values);
        values.set("FIELD", values.fill(include_str!("yul/field.yul"))?);
        Ok(block)
    }

    /// The functions and calls of the gates that live in one contract.
    fn gate_code(
        &self,
        home: Home,
        block: &Block,
        values: &Values,
    ) -> Result<(String, Code), GenerateError> {
        let mut functions = String::new();
        let mut calls = Code::new(12);
        for row in self.gates_in(home) {
            functions.push_str(&gates::code(
                &self.common.gates[row],
                row,
                (block, self.selectors.count()),
                values,
            )?);
            calls.line(format_args!("gate{row}()"));
            calls.line(self.selectors.flush(row, block)?);
        }
        Ok((functions, calls))
    }

    pub(super) fn gates_part(&self) -> Result<String, GenerateError> {
        let shape = &self.shape;
        let mut values = self.values();
        let mut regions = Regions::from(RESERVED);
        let ids = regions.take(shape.routed_wires * CELL);
        let chunks = 1 + shape.partial_products;
        values
            .set("IDS", ids)
            .set("IDS_END", ids + shape.routed_wires * CELL)
            .set("BETA", regions.take(WORD))
            .set("GAMMA", regions.take(WORD))
            .set("LIST", regions.take(64 * CELL))
            .set("COSET_SHIFT", field::literal(self.common.k_is[1]))
            .set("CHUNKS", chunks)
            .set("LAST_CHUNK", chunks - 1)
            .set("CHUNK_BYTES", shape.quotient_factor * CELL);
        let block = self.set_part(&mut regions, &mut values)?;
        let (gate_functions, gate_calls) = self.gate_code(Home::Gates, &block, &values)?;
        let mut functions = values.fill(include_str!("yul/part.yul"))?;
        functions.push_str(&values.fill(include_str!("yul/products.yul"))?);
        functions.push_str(&values.fill(include_str!("yul/gates.yul"))?);
        functions.push_str(&quintic::product());
        functions.push_str(&gate_functions);
        let mut body = Code::new(12);
        body.line("products()");
        body.line("flush(1, 0)");
        values
            .set("NAME", GATES)
            .set("TITLE", "permutation argument and gates")
            .set("PART_FUNCTIONS", functions)
            .set("BODY", body.finish() + &gate_calls.finish());
        values.fill(include_str!("yul/part.sol"))
    }

    pub(super) fn curve_part(&self) -> Result<String, GenerateError> {
        let mut values = self.values();
        let mut regions = Regions::from(RESERVED);
        let (left, right) = (regions.take(quintic::OPERAND), regions.take(quintic::OPERAND));
        let block = self.set_part(&mut regions, &mut values)?;
        let (gate_functions, gate_calls) = self.gate_code(Home::Curve, &block, &values)?;
        let mut functions = values.fill(include_str!("yul/part.yul"))?;
        functions.push_str(&values.fill(include_str!("yul/gates.yul"))?);
        functions.push_str(&quintic::functions(left, right));
        functions.push_str(&gate_functions);
        values
            .set("NAME", CURVE)
            .set("TITLE", "gates of the curve")
            .set("PART_FUNCTIONS", functions)
            .set("BODY", gate_calls.finish());
        values.fill(include_str!("yul/part.sol"))
    }

    pub(super) fn poseidon_part(&self) -> Result<String, GenerateError> {
        let mut values = self.values();
        let mut regions = Regions::from(RESERVED);
        let state = regions.take(24 * WORD);
        let table = regions.take(poseidon::TABLE_BYTES);
        poseidon::set_code(state, table, field::ORDER, &mut values);
        let block = self.set_part(&mut regions, &mut values)?;
        let (functions, calls) = self.gate_code(Home::Poseidon, &block, &values)?;
        let mut shared = values.fill(include_str!("yul/part.yul"))?;
        shared.push_str(&values.fill(include_str!("yul/gates.yul"))?);
        values
            .set("NAME", POSEIDON)
            .set("HASH_BYTES", self.shape.public_inputs * WORD)
            .set("PART_FUNCTIONS", shared)
            .set("GATE_FUNCTION", functions)
            .set("BODY", calls.finish());
        values.fill(include_str!("yul/poseidon.sol"))
    }
}
