namespace Zqfp.CudaOps.Tests;

public sealed class DenseTileTests
{
    private const int SharedMemory = 232448;

    [Fact]
    public void Every_tile_has_room_for_several_stages_and_for_what_the_epilogue_reads()
    {
        foreach (DenseTile tile in DenseTuning.All)
        {
            Assert.InRange(tile.Stages(SharedMemory), 3, 8);
            foreach (int rank in (int[])[0, 8, 16, 64])
            {
                Assert.InRange(tile.SharedBytes(SharedMemory, rank, bias: true), 1, SharedMemory - 1024);
            }
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(128, 1)]
    [InlineData(129, 2)]
    [InlineData(2048, 16)]
    public void Tokens_come_in_tiles_of_128(int tokens, int tiles) => Assert.Equal(tiles, DenseTile.TokenTiles(tokens));

    [Theory]
    [InlineData(22016, 4096, 512)]
    [InlineData(5120, 13824, 512)]
    [InlineData(4096, 4096, 1)]
    public void The_chosen_tile_takes_no_more_rounds_of_longer_stages_than_another(int rows, int columns, int tokens)
    {
        const int Multiprocessors = 132;
        DenseTile chosen = DenseTuning.Choose(Multiprocessors, rows, columns, tokens);
        int rounds = Rounds(chosen);
        Assert.DoesNotContain(DenseTuning.All, other => other.Features < chosen.Features && Rounds(other) <= rounds);

        int Rounds(DenseTile tile) => (tile.Tiles(tokens, rows) + Multiprocessors - 1) / Multiprocessors;
    }

    [Theory]
    [InlineData(4096, 4096, true)]
    [InlineData(4100, 4096, false)]
    [InlineData(4096, 4104, false)]
    public void Sizes_suit_whole_vectors_or_are_left_to_other_kernels(int rows, int columns, bool fits) =>
        Assert.Equal(fits, DenseTile.Fits(rows, columns));
}
