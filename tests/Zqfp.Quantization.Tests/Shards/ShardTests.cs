namespace Zqfp.Quantization.Tests;

public sealed class ShardTests
{
    [Theory]
    [InlineData("0", "4", "0", null, 0)]
    [InlineData("3", "4", "0", null, 3)]
    [InlineData("4", "4", "1", null, 3)]
    [InlineData("6", "4", "0", "2", 3)]
    [InlineData("2", "4", null, null, 2)]
    public void A_task_of_a_Slurm_array_is_a_shard_wherever_its_ids_begin(string id, string count, string? first, string? step,
        int index) => Assert.Equal(new Shard(index, 4), Shard.Of(Environment(
            ("SLURM_ARRAY_TASK_ID", id), ("SLURM_ARRAY_TASK_COUNT", count), ("SLURM_ARRAY_TASK_MIN", first),
            ("SLURM_ARRAY_TASK_STEP", step))));

    [Fact]
    public void A_pod_of_an_Indexed_Job_is_a_shard() =>
        Assert.Equal(new Shard(2, 8), Shard.Of(Environment(("JOB_COMPLETION_INDEX", "2"), ("ZQFP_SHARDS", "8"))));

    [Theory]
    [InlineData("SLURM_ARRAY_TASK_ID=1")]
    [InlineData("SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=0")]
    [InlineData("SLURM_ARRAY_TASK_ID=3 SLURM_ARRAY_TASK_COUNT=4 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_STEP=2")]
    [InlineData("SLURM_ARRAY_TASK_ID=x SLURM_ARRAY_TASK_COUNT=4")]
    [InlineData("JOB_COMPLETION_INDEX=1")]
    [InlineData("JOB_COMPLETION_INDEX=4 ZQFP_SHARDS=4")]
    [InlineData("SLURM_JOB_ID=12")]
    public void What_names_no_shard_is_ZQFP0040(string environment)
    {
        (string, string?)[] variables =
            [.. environment.Split(' ').Select(entry => entry.Split('=')).Select(entry => (entry[0], (string?)entry[1]))];
        Assert.Equal("ZQFP0040", Assert.Throws<ZqfpException>(() => Shard.Of(Environment(variables))).Code);
    }

    private static Func<string, string?> Environment(params (string Name, string? Value)[] variables) =>
        name => variables.FirstOrDefault(variable => variable.Name == name).Value;
}
