
namespace Zqfp.CudaOps.Tests;

public sealed unsafe class PanelMathTests
{
    [Fact]
    public void Every_instruction_set_decodes_every_code_exactly()
    {
        // Rows of 64 words: the codes of row i begin with i and go up by one from column to column. Decoded they lie in parts of 16 rows.
        const int Width = PackedWeights.PanelWidth, Part = PackedWeights.PartWidth, Columns = 256;
        uint[] words = new uint[Width * Columns / 4];
        uint[] nibbles = new uint[Width * Columns / 8];
        float[] expected = new float[Width * Columns], expectedOfNibbles = new float[Width * Columns];
        for (int i = 0; i < Width; i++)
        {
            for (int column = 0; column < Columns; column++)
            {
                // The two NaNs are no weight code: packing replaces them.
                int code = (i + column) % 256 is var any && (any & 127) == 127 ? 0 : any;
                words[(column / 4 * Width) + i] |= (uint)code << (column % 4 * 8);
                nibbles[(column / 8 * Width) + i] |= (uint)(code & 15) << (column % 8 * 4);
                int place = (((i / Part * Columns) + column) * Part) + (i % Part);
                expected[place] = (float)Reference.Fp8(code);
                expectedOfNibbles[place] = (float)Reference.Fp4(code & 15);
            }
        }
        foreach (PanelMath math in PanelMath.All)
        {
            float[] decoded = new float[Width * Columns];
            fixed (uint* source = words, sourceOfNibbles = nibbles)
            fixed (float* destination = decoded)
            {
                math.DecodeE4M3(source, Columns, destination);
                Assert.Equal(expected, decoded);
                math.DecodeE2M1(sourceOfNibbles, Columns, destination);
                Assert.Equal(expectedOfNibbles, decoded);
            }
        }
    }
}
