using System.Reflection;
using System.Text.RegularExpressions;

namespace Zqfp.CudaOps.Tests;

public sealed partial class GroupedTests
{
    private const int SharedMemory = 232448;

    [Fact]
    public void Every_tile_has_room_for_several_stages_of_its_blocks()
    {
        foreach (int width in GroupedTuning.Widths)
        {
            foreach ((int group, bool floats) in ((int, bool)[])[(256, false), (32, false), (128, true)])
            {
                PackedLayout layout = new(2048, 4096, group, floats);
                GroupedTile tile = GroupedTuning.Choose(layout, width, SharedMemory);
                Assert.Equal(width, tile.Tokens);
                Assert.InRange(tile.Stages, 3, 12);
                Assert.InRange((tile.SharedBytes(layout) + tile.StaticBytes + 1024) * tile.BlocksPerMultiprocessor, 1, SharedMemory + 1024);
            }
        }
    }

    [Theory]
    [InlineData(1, 256, 8)]
    [InlineData(1024, 256, 8)]
    [InlineData(1025, 256, 16)]
    [InlineData(2048, 256, 16)]
    [InlineData(4096, 256, 32)]
    [InlineData(10240, 256, 32)]
    [InlineData(10241, 256, 64)]
    [InlineData(1_000_000, 1, 64)]
    public void Items_are_wider_than_experts_have_rows_on_average(int count, int experts, int width) =>
        Assert.Equal(width, GroupedTuning.WidthOf(count, experts));

    /// <summary>A grid has to be large enough for the routing that needs the most tiles; so must the memory they are listed in.</summary>
    [Fact]
    public void No_routing_needs_more_tiles_than_there_is_room_for_and_one_needs_all()
    {
        var random = new Random(1);
        foreach (int width in GroupedTuning.Widths)
        {
            foreach (int experts in (int[])[1, 2, 7, 300])
            {
                foreach (int count in (int[])[1, 5, 32, 33, 64, 100, 1000])
                {
                    // A row for every expert and for those that name none, and the rest for the last of them.
                    int bins = Math.Min(count, experts + 1), rest = count - bins + 1;
                    int most = new SortedRows(count, experts, width).MostTiles;
                    Assert.Equal(bins - 1 + ((rest + width - 1) / width), most);
                    int[] rows = new int[experts + 1];
                    for (int i = 0; i < count; i++)
                    {
                        rows[random.Next(bins)]++;
                    }

                    Assert.InRange(rows.Sum(of => (of + width - 1) / width), 1, most);
                }
            }
        }
    }

    [Theory]
    [InlineData(32, 4, 0)]
    [InlineData(33, 64, (16 * (1 + 33)) + (4 * 33))]
    [InlineData(1000, 9, (16 * (1 + 133)) + (4 * 1000))]
    public void Sorted_rows_take_a_list_of_tiles_and_an_order(int count, int experts, long bytes) =>
        Assert.Equal(bytes, new SortedRows(count, experts, 8).Bytes);

    [Fact]
    public void As_many_experts_as_are_sorted_fit_the_sorting_block()
    {
        Assert.True(SortedRows.MostExperts + 1 <= 2 * SortedRows.Threads);
        Assert.InRange(SortedRows.SharedBytes(SortedRows.MostExperts), 1, SharedMemory - 1024);
    }

    [Fact]
    public void A_tile_without_room_for_two_stages_is_refused()
    {
        PackedLayout layout = new(2048, 4096, 256);
        var tile = new GroupedTile(64, 2, 4, 1, 1);
        Assert.Equal(2, tile.WithDeepestRing(layout, 96 * 1024).Stages);
        Assert.Throws<ArgumentException>(() => tile.WithDeepestRing(layout, 64 * 1024));
    }

    [Fact]
    public void Host_and_kernel_agree_on_how_many_rows_a_block_sorts() =>
        Assert.Contains($"constexpr int FewRows = {SortedRows.FewRows};", Source("sorted_rows.cuh"), StringComparison.Ordinal);

    /// <summary>What the host passes to a kernel by value has the kernel's fields, in its order and of its sizes.</summary>
    [Theory]
    [InlineData("grouped_gemm.cu", "GroupedArguments", typeof(GroupedArguments))]
    [InlineData("w4a8_gemm.cu", "GemmArguments", typeof(GemmArguments))]
    [InlineData("fp8_gemm.cu", "DenseArguments", typeof(DenseArguments))]
    public void Arguments_are_laid_out_as_the_kernel_reads_them(string source, string name, Type type)
    {
        string text = Source(source);
        string body = text[text.IndexOf($"struct {name}", StringComparison.Ordinal)..];
        body = body[..body.IndexOf("};", StringComparison.Ordinal)];
        (string, int)[] fields = [.. FieldPattern().Matches(body).Select(m => (m.Groups["name"].Value, m.Groups["star"].Success ? 8 : 4))];
        Assert.NotEmpty(fields);
        Assert.Equal(
            fields,
            type.GetFields(BindingFlags.Public | BindingFlags.Instance).OrderBy(field => field.MetadataToken)
                .Select(field => (char.ToLowerInvariant(field.Name[0]) + field.Name[1..], field.FieldType == typeof(ulong) ? 8 : 4)));
    }

    private static string Source(string name)
    {
        using StreamReader reader = new(typeof(KernelCompiler).Assembly.GetManifestResourceStream("Kernels/" + name)!);
        return reader.ReadToEnd();
    }

    [GeneratedRegex(@"^\s+(?:const )?(?:long long|\w+)(?<star>\*)? (?<name>\w+);", RegexOptions.Multiline)]
    private static partial Regex FieldPattern();
}
