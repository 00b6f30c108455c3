// One dashboard, drawn by the components that Grafana's own panels are made of. Data and page come in window.DRAWN.
import {
  FieldType, ThresholdsMode, VizOrientation, createTheme, dateTime, getDisplayProcessor, toDataFrame,
} from "@grafana/data";
import {
  BigValue, BigValueColorMode, BigValueGraphMode, BigValueJustifyMode, BigValueTextMode, GlobalStyles, PanelChrome, ThemeContext, TimeSeries, VizRepeater,
} from "@grafana/ui";
import { createRoot } from "react-dom/client";

const theme = createTheme({ colors: { mode: "dark" } });
const { page, series, from, to } = window.DRAWN;
// In pixels: as draw.py has them.
const GAP = 8, COLUMN = 76, ROW = 30;
const range = { from: dateTime(from), to: dateTime(to), raw: { from: dateTime(from), to: dateTime(to) } };

const LINE = {
  drawStyle: "line", lineInterpolation: "linear", lineWidth: 1, fillOpacity: 10, gradientMode: "none", showPoints: "never", pointSize: 5,
  spanNulls: false, axisPlacement: "auto", axisLabel: "", scaleDistribution: { type: "linear" }, hideFrom: { legend: false, tooltip: false, viz: false },
  barAlignment: 0, axisColorMode: "text", axisBorderShow: false, axisCenteredZero: false, lineStyle: { fill: "solid" },
};

/** Grafana's own export has null for the step that holds from below everything. */
function config(panel) {
  const { custom, thresholds, ...rest } = panel.fieldConfig.defaults;
  const steps = thresholds.steps.map(step => ({ ...step, value: step.value ?? -Infinity }));
  return { ...rest, thresholds: { mode: ThresholdsMode.Absolute, steps }, custom: { ...LINE, ...custom } };
}

function frames(panel, found) {
  return found.map(({ name, times, values }, place) => {
    const frame = toDataFrame({
      fields: [
        { name: "Time", type: FieldType.time, values: times, config: {} },
        { name: "Value", type: FieldType.number, values, config: { ...config(panel), displayNameFromDS: name } },
      ],
    });
    for (const field of frame.fields) {
      field.state = { ...field.state, seriesIndex: place, displayName: field.type === FieldType.number ? name : "Time" };
      field.display = getDisplayProcessor({ field, theme, timeZone: "utc" });
    }
    return frame;
  });
}

function Graph({ panel, found, width, height }) {
  return (
    <TimeSeries frames={frames(panel, found)} structureRev={1} timeRange={range} timeZone="utc" width={width} height={height}
      legend={panel.options.legend} options={{ legend: panel.options.legend, tooltip: panel.options.tooltip }} />
  );
}

function Stat({ panel, found, width, height }) {
  const values = () => frames(panel, found).map((frame, place) => {
    const [x, y] = frame.fields;
    return { ...y.display(y.values.findLast(value => value !== null)), title: found[place].name, sparkline: { x, y } };
  });
  // As Grafana chooses where the orientation is "auto".
  const orientation = width > height ? VizOrientation.Vertical : VizOrientation.Horizontal;
  return (
    <VizRepeater getValues={values} width={width} height={height} source={found} orientation={orientation} itemSpacing={2}
      autoGrid={false} renderValue={({ value, width, height, count }) => (
        <BigValue value={value} sparkline={value.sparkline} width={width} height={height} theme={theme} count={count} colorMode={BigValueColorMode.Value}
          graphMode={BigValueGraphMode.Area} justifyMode={BigValueJustifyMode.Auto} textMode={BigValueTextMode.ValueAndName} />
      )} />
  );
}

function Panel({ panel }) {
  const { x, y, w, h } = panel.gridPos;
  const [left, top, width, height] = [x * COLUMN, y * (ROW + GAP), w * COLUMN - GAP, h * (ROW + GAP) - GAP];
  const style = { position: "absolute", left, top, width, height };
  if (panel.type === "row") {
    return <div style={{ ...style, fontSize: 18, fontWeight: 500, lineHeight: `${height}px`, paddingLeft: 4 }}>{panel.title}</div>;
  }
  const found = series[panel.id] ?? [];
  const Inner = panel.type === "stat" ? Stat : Graph;
  return (
    <div style={style}>
      <PanelChrome title={panel.title} description={panel.description} width={width} height={height} statusMessage={found.length ? undefined : "No data"}>
        {(innerWidth, innerHeight) => found.length
          ? <Inner panel={panel} found={found} width={innerWidth} height={innerHeight} />
          : <div>No data</div>}
      </PanelChrome>
    </div>
  );
}

const rows = Math.max(...page.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
document.body.style.background = theme.colors.background.canvas;
createRoot(document.getElementById("root")).render(
  <ThemeContext.Provider value={theme}>
    <GlobalStyles />
    <div style={{ padding: 16, width: 24 * COLUMN }}>
      <h3>{page.title}</h3>
      <div style={{ position: "relative", height: rows * (ROW + GAP) }}>
        {page.panels.map(panel => <Panel key={panel.id} panel={panel} />)}
      </div>
    </div>
  </ThemeContext.Provider>,
);
