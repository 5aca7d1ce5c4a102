// Growth draws docs/growth.svg from docs/growth.csv, which `make bench-growth` measures: what each of something
// costs at 1, 10, 100 and 1,000 times of it. A flat line is linear growth.
package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"image/color"
	"os"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: growth FILE.csv FILE.svg")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		return err
	}
	panels, err := read(rows)
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	picture, err := drawn(panels)
	if err != nil {
		return err
	}
	return os.WriteFile(to, picture, 0o644)
}

// panel is one of the diagrams.
type panel struct {
	thing, cost       string
	sizes             []int
	ours, handwritten plotter.XYs // y: what each costs, over ours at the smallest size
}

// read makes panels of rows: thing, cost of each, size, ours, handwritten, go. The first row names them.
func read(rows [][]string) (panels []*panel, err error) {
	var p *panel
	first := 0.0 // of the panel, what each costs us
	for i, row := range rows {
		if i == 0 {
			continue
		}
		size, sizeErr := strconv.Atoi(row[2])
		ours, oursErr := strconv.ParseFloat(row[3], 64)
		handwritten, handErr := strconv.ParseFloat(row[4], 64)
		if err := errors.Join(sizeErr, oursErr, handErr); err != nil {
			return nil, err
		}
		if p == nil || p.thing != row[0] {
			p = &panel{thing: row[0], cost: row[1]}
			panels, first = append(panels, p), ours
		}
		p.sizes = append(p.sizes, size)
		p.ours = append(p.ours, plotter.XY{X: float64(size), Y: ours / first})
		p.handwritten = append(p.handwritten, plotter.XY{X: float64(size), Y: handwritten / first})
	}
	if len(panels) == 0 {
		return nil, errors.New("there is nothing to draw")
	}
	return panels, nil
}

// The picture has a ground of its own, so that it can be read on a dark page too. The two colours differ in
// brightness as well, and the shapes of the dots differ.
var (
	ground = color.RGBA{R: 0xff, G: 0xff, B: 0xff, A: 0xff}
	ink    = color.RGBA{R: 0x33, G: 0x3b, B: 0x45, A: 0xff}
	faint  = color.RGBA{R: 0xd5, G: 0xda, B: 0xe0, A: 0xff}
	blue   = color.RGBA{R: 0x0b, G: 0x5c, B: 0xad, A: 0xff}
	orange = color.RGBA{R: 0xe0, G: 0x7b, B: 0x1a, A: 0xff}
)

const columns = 3

// drawn is the picture.
func drawn(panels []*panel) ([]byte, error) {
	var grid [][]*plot.Plot
	for i, p := range panels {
		diagram, err := p.diagram(i == 0)
		if err != nil {
			return nil, err
		}
		if i%columns == 0 {
			grid = append(grid, make([]*plot.Plot, columns))
		}
		grid[i/columns][i%columns] = diagram
	}
	svg := vgsvg.New(30*vg.Centimeter, vg.Length(len(grid))*9*vg.Centimeter)
	canvas := draw.New(svg)
	canvas.FillPolygon(ground, []vg.Point{
		canvas.Min, {X: canvas.Max.X, Y: canvas.Min.Y}, canvas.Max, {X: canvas.Min.X, Y: canvas.Max.Y},
	})
	const margin = 12
	tiles := draw.Tiles{
		Rows: len(grid), Cols: columns, PadX: 2 * margin, PadY: 2 * margin,
		PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: margin,
	}
	canvases := plot.Align(grid, tiles, canvas)
	for i, row := range grid {
		for j, diagram := range row {
			if diagram != nil {
				diagram.Draw(canvases[i][j])
			}
		}
	}
	var b bytes.Buffer
	_, err := svg.WriteTo(&b)
	// Where there is no Liberation, Arial has the same widths.
	return bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), err
}

func (p *panel) diagram(legend bool) (*plot.Plot, error) {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	d := plot.New()
	d.BackgroundColor = ground
	d.Title.Text = p.cost
	d.Title.Padding = vg.Points(6)
	d.X.Label.Text = p.thing
	d.X.Scale, d.X.Tick.Marker = plot.LogScale{}, sizeTicks(p.sizes)
	d.Title.TextStyle.Color, d.Title.TextStyle.Font.Size = ink, vg.Points(13)
	for _, axis := range []*plot.Axis{&d.X, &d.Y} {
		axis.Color, axis.Label.TextStyle.Color, axis.Tick.Color, axis.Tick.Label.Color = ink, ink, ink, ink
		axis.Label.TextStyle.Font.Size, axis.Tick.Label.Font.Size = vg.Points(11), vg.Points(10)
	}
	d.X.Label.Padding, d.Y.Label.Padding = vg.Points(5), vg.Points(5)
	d.Y.Label.Text = "coder-go at the left = 1"
	d.Y.Min, d.Y.Max = 0, 1.2
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = faint, faint
	d.Add(grid)
	if err := p.line(d, "handwritten", p.handwritten, orange, draw.PyramidGlyph{}, legend); err != nil {
		return nil, err
	}
	if err := p.line(d, "coder-go", p.ours, blue, draw.CircleGlyph{}, legend); err != nil {
		return nil, err
	}
	for _, points := range []plotter.XYs{p.ours, p.handwritten} {
		for _, point := range points {
			d.Y.Max = max(d.Y.Max, 1.15*point.Y)
		}
	}
	d.Y.Min = 0
	d.X.Min, d.X.Max = 0.8*float64(p.sizes[0]), 1.25*float64(p.sizes[len(p.sizes)-1])
	return d, nil
}

func (p *panel) line(d *plot.Plot, name string, points plotter.XYs, colour color.Color, shape draw.GlyphDrawer, legend bool) error {
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	line.Color, line.Width = colour, vg.Points(2)
	dots.Color, dots.Shape, dots.Radius = colour, shape, vg.Points(4)
	d.Add(line, dots)
	if legend {
		d.Legend.Add(name, line, dots)
		d.Legend.Padding = vg.Points(3)
		d.Legend.TextStyle.Color, d.Legend.TextStyle.Font.Size = ink, vg.Points(11)
		d.Legend.ThumbnailWidth, d.Legend.Left, d.Legend.XOffs, d.Legend.YOffs = vg.Points(28), true, vg.Points(8), vg.Points(4)
	}
	return nil
}

// sizeTicks are the sizes that were measured.
type sizeTicks []int

// Ticks implements plot.Ticker.
func (t sizeTicks) Ticks(_, _ float64) (ticks []plot.Tick) {
	for _, size := range t {
		ticks = append(ticks, plot.Tick{Value: float64(size), Label: grouped(size)})
	}
	return ticks
}

// grouped writes 12345 as 12,345.
func grouped(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return grouped(n/1000) + fmt.Sprintf(",%03d", n%1000)
}
